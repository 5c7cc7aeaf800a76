"""One notebook in one kernel: what its cells do to the answers, and what is left of what was in it."""

import asyncio

import nbformat
import pytest

from autograde.engine.execute import Limits, run_notebook
from autograde.engine.verdict_cell import read_verdict
from tests.autograde.conftest import TOY


def solved(course):
    notebook = nbformat.read(course.solutions / TOY / f"{TOY}.ipynb", as_version=4)
    return notebook


def add_before(notebook, cell_id, source):
    position = next(i for i, cell in enumerate(notebook.cells) if cell.id == cell_id)
    notebook.cells.insert(position, nbformat.v4.new_code_cell(source))
    return notebook


@pytest.mark.parametrize(
    ("source", "reached", "words"),
    [
        ("import os; os._exit(1)", 2, "ended the kernel"),
        ("while True: pass", 5, None),
        ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", 2, "did not stop when asked"),
        ("check = print = None; raise RuntimeError", 5, None),
        ("class Yes(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\npositions = Yes(0)", 5, None),
        ("del tokens, share", 5, None),
    ],
)
def test_what_a_cell_does_costs_only_what_comes_after_it(course, tmp_path, source, reached, words):
    """`reached` answers stand before the cell or are not touched by it; the others say why they earned nothing."""
    notebook = add_before(solved(course), "positions-prompt", source)
    verdicts = run_notebook(notebook, course.key(TOY), tmp_path, Limits(cell_seconds=4))
    assert [verdict.points > 0 for verdict in verdicts] == [n < reached for n in range(5)]
    if words:
        assert all(words in verdict.message for verdict in verdicts[reached:])


def test_an_answer_that_lies_about_equality_is_read_as_the_number_it_is(course, tmp_path):
    notebook = solved(course)
    answer = next(cell for cell in notebook.cells if cell.id == "tokens-answer")
    answer.source = "class Yes(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\ntokens = Yes(4)"
    verdicts = run_notebook(notebook, course.key(TOY), tmp_path, Limits())
    assert verdicts[0].misconception == "forgot to square"


def test_a_notebook_may_run_only_so_long_in_all(course, tmp_path):
    verdicts = run_notebook(solved(course), course.key(TOY), tmp_path, Limits(notebook_seconds=0))
    assert all("the notebook ran longer than 0 seconds" in verdict.message for verdict in verdicts)


def test_a_notebook_runs_where_a_loop_runs_already_as_in_formgrader(course, tmp_path):
    async def serve():
        return run_notebook(solved(course), course.key(TOY), tmp_path, Limits())

    assert [verdict.points for verdict in asyncio.run(serve())] == [1, 1, 1, 2, 4]


def test_a_deleted_answer_is_not_defined(course, tmp_path):
    notebook = solved(course)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "tokens-answer"]
    first = run_notebook(notebook, course.key(TOY), tmp_path, Limits())[0]
    assert first.message == "`tokens` is not defined: the cell that sets it failed or was deleted."


def test_an_illustration_is_not_run(course, tmp_path):
    notebook = solved(course)
    run_notebook(notebook, course.key(TOY), tmp_path, Limits())
    assert next(cell for cell in notebook.cells if cell.id == "figure").outputs == []


def test_a_verdict_replaces_what_the_learner_left_in_the_graded_cell(course, tmp_path):
    notebook = solved(course)
    graded_cell = next(cell for cell in notebook.cells if cell.id == "tokens")
    graded_cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "99"})]
    run_notebook(notebook, course.key(TOY), tmp_path, Limits())
    assert read_verdict(graded_cell)["points"] == 1
    assert [output.data["text/plain"] for output in graded_cell.outputs][1] == "1.0"
