"""What is stored with the notebooks: every output in solutions/, none in chapters/.

nbval (`make notebooks`) compares the stored outputs with a fresh run, but passes over cells that never ran.
"""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
SOLUTIONS = sorted(ROOT.glob("solutions/*/*.ipynb"))
CHAPTERS = sorted(ROOT.glob("chapters/*/*.ipynb"))


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_code_cell_of_a_solution_ran_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), f"run all cells of {path.name} in a fresh kernel and save it"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_shows_no_output(path: Path) -> None:
    for cell in code_cells(path):
        assert (cell.execution_count, cell.outputs) == (None, []), cell.source


def test_every_chapter_has_its_solution() -> None:
    assert [path.name for path in CHAPTERS] == [path.name for path in SOLUTIONS] != []
