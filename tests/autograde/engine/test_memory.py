"""A cell that takes most of the memory costs itself alone: not the cell that happens to need the rest."""

import nbformat
import pytest

from tests.autograde.engine.test_execute import add_before, outputs_of, run, solved

KEEPS = "hoard = bytearray(400 * 2**20)"  # of 512 MiB, and nothing fails yet
BOMB = "hoard = []\nwhile True: hoard.append(bytearray(10**7))"  # its MemoryError leaves nothing for the rest
NEEDS = "bytearray(300 * 2**20)"
FORKS = """
import os, time
for _ in range(2):  # each takes what it may, and all together too much
    if not os.fork():
        rest = bytes([1]) * (60 * 2**20)
        time.sleep(3)
        os._exit(0)
os.wait(), os.wait()
"""


def answer(notebook, exercise, before):
    cell = next(cell for cell in notebook.cells if cell.id == f"{exercise}-answer")
    cell.source = f"{before}\n{cell.source}"


@pytest.mark.parametrize("hoards", [KEEPS, BOMB])
@pytest.mark.parametrize("needs", [NEEDS, FORKS])
def test_an_answer_that_needs_the_rest_of_the_memory_does_not_pay_for_the_cell_that_took_most(
    course, tmp_path, hoards, needs
):
    notebook = add_before(solved(course), "share-prompt", hoards)
    answer(notebook, "positions", needs)
    verdicts = run(course, tmp_path, notebook, memory=512, cell_seconds=60)
    assert [verdict.points for verdict in verdicts] == [1, 1, 1, 2, 4]
    assert any("memory" in note for note in notebook.metadata.autograde.notes)
    assert any(output.get("ename") == "LeftOut" for output in outputs_of(notebook, "mine"))


def test_what_a_kernel_holds_from_the_start_is_no_cells_fault(course, tmp_path):
    notebook = add_before(solved(course), solved(course).cells[0].id, "first = 1")
    answer(notebook, "positions", "try:\n    bytes(10**12)\nexcept MemoryError as error:\n    found = error")
    notebook.cells.append(nbformat.v4.new_code_cell("raise found", id="last", metadata={"autograde": {"own": True}}))
    verdicts = run(course, tmp_path, notebook, memory=128, cell_seconds=60)
    assert [verdict.points for verdict in verdicts] == [1, 1, 1, 2, 4]
    assert outputs_of(notebook, "last")[0].ename == "MemoryError" and not outputs_of(notebook, "mine")
