"""The key writes the cells of its exercises, and only those."""

import shutil

import nbformat
import pytest

from autograde.authoring.weave import weave
from autograde.exercises import BadKey
from tests.autograde.conftest import HERE, TOY


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / TOY
    shutil.copytree(HERE / "course" / TOY, made)
    return made


def read(folder):
    return nbformat.read(folder / f"{TOY}.ipynb", as_version=4)


def edit(folder, change):
    notebook = read(folder)
    change(notebook)
    nbformat.write(notebook, folder / f"{TOY}.ipynb")


def test_a_place_becomes_prompt_answer_and_graded_cell(folder):
    assert weave(folder)
    cells = {cell.id: cell for cell in read(folder).cells}
    assert "A picture of 32 × 32 pixels, patches of 8: how many?" in cells["tokens-prompt"].source
    assert "<summary>Hint 1</summary>" in cells["tokens-prompt"].source
    assert cells["tokens-answer"].source == "### BEGIN SOLUTION\ntokens = 16\n### END SOLUTION"
    assert cells["tokens"].source == 'check("tokens", tokens)'
    assert cells["tokens"].metadata.nbgrader.points == 1
    assert "2. larger patches" in cells["remedy-prompt"].source
    assert cells["cut-rows-answer"].source.startswith("def rows(images: torch.Tensor, patch: int) -> torch.Tensor:")


def test_weaving_twice_changes_nothing_more(folder):
    weave(folder)
    before = read(folder)
    assert not weave(folder)
    assert read(folder) == before


def test_outputs_stay_where_the_source_is_the_same(folder):
    weave(folder)

    def run(notebook):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = 7

    edit(folder, run)
    key = folder / "key.py"
    key.write_text(key.read_text().replace('"patch": 8', '"patch": 4'))
    assert weave(folder)
    counts = {cell.id: cell.execution_count for cell in read(folder).cells if cell.cell_type == "code"}
    assert counts["tokens-answer"] is None  # its answer is new
    assert counts["share-answer"] == counts["tokens"] == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda notebook: notebook.cells.pop(2), "has no place for tokens"),
        (lambda notebook: notebook.cells.insert(3, notebook.cells[2].copy()), "places exercise tokens twice"),
        (lambda notebook: notebook.cells[2].update(source="{exercise toekns}"), "exercise toekns, which key.py does"),
        (lambda notebook: notebook.cells.insert(2, notebook.cells.pop(4)), "put key.py in the same order"),
    ],
)
def test_a_notebook_that_contradicts_its_key_is_refused(folder, change, words):
    def apply(notebook):
        change(notebook)
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"

    edit(folder, apply)
    with pytest.raises(BadKey, match=words):
        weave(folder)
