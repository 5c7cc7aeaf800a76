"""One notebook in one kernel: what its cells do to the answers, and what is left of what was in it."""

import asyncio
import re
import sys

import nbformat
import pytest

from autograde.engine.execute import MAX_KERNELS, run_notebook
from autograde.engine.limits import Limits
from autograde.engine.repair import repair
from autograde.engine.verdict_cell import read_verdict
from tests.autograde.conftest import TOY


def solved(course):
    notebook = nbformat.read(course.solutions / TOY / f"{TOY}.ipynb", as_version=4)
    return notebook


def add_before(notebook, cell_id, source):
    """A cell of the learner's own, as `repair` marks it."""
    position = next(i for i, cell in enumerate(notebook.cells) if cell.id == cell_id)
    notebook.cells.insert(position, nbformat.v4.new_code_cell(source, id="mine", metadata={"autograde": {"own": True}}))
    return notebook


def outputs_of(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id).outputs


def run(course, folder, notebook, **limits):
    return run_notebook(notebook, course.key(TOY), folder, Limits(**{"cell_seconds": 4, **limits}))


OVERFLOWS = None if sys.version_info[:2] == (3, 12) else "ended the kernel"  # 3.12 raises a RecursionError in time
HANGS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
CATCHES = "import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os; os._exit(1)", "ended the kernel"),
        ("exit()", "ended the kernel"),
        ("quit", "ended the kernel"),
        ("raise SystemExit", None),
        ("import sys\nsys.setrecursionlimit(10**6)\nf = lambda n: sorted([n], key=f)\nf(1)", OVERFLOWS),
        ("import ctypes; ctypes.string_at(0)", "ended the kernel"),
        ("import os; os.closerange(0, 256)", "ended the kernel|did not stop|cannot be read"),
        (HANGS, "did not stop when asked"),
        (CATCHES, "did not stop when asked"),
        ("n = pow(7, 3 * 10**8) % 10", "ran longer than 4 seconds"),
        ("while True: pass", "ran longer than 4 seconds and was stopped"),
        ("check = print = None; raise RuntimeError", None),
        ("class Yes(int):\n    __eq__ = lambda *_: True\n    __hash__ = int.__hash__\npositions = Yes(0)", None),
        ("del tokens, share", None),
    ],
)
def test_an_accident_in_a_cell_of_the_learners_costs_no_exercise(course, tmp_path, source, words):
    notebook = add_before(solved(course), "positions-prompt", source)
    verdicts = run(course, tmp_path, notebook)
    assert [verdict.points for verdict in verdicts] == [1, 1, 1, 2, 4]
    notes = notebook.metadata.get("autograde", {}).get("notes", [])
    assert bool(notes) == bool(words)
    if words:
        assert re.search(words, notes[0]) and notes[0] in notebook.cells[0].source
        told = [output.get("evalue", "") for output in outputs_of(notebook, "mine")]  # a busy kernel's error comes last
        assert any(re.search(words, text) for text in told)
    assert "unsettled" not in notebook.metadata.get("autograde", {})


def test_several_accidents_cost_no_exercise_either(course, tmp_path):
    notebook = solved(course)
    for before in ("tokens-prompt", "share-prompt", "positions-prompt"):
        add_before(notebook, before, "exit()")
        next(cell for cell in notebook.cells if cell.id == "mine").id = f"mine-{before}"
    assert sum(verdict.points for verdict in run(course, tmp_path, notebook)) == 9
    assert len(notebook.metadata.autograde.notes) == 3


def test_after_too_many_accidents_the_rest_is_lost_and_says_why(course, tmp_path):
    notebook = solved(course)
    for number in range(MAX_KERNELS + 1):
        add_before(notebook, "positions-prompt", f"needed_{number} = 1\nexit()")
        next(cell for cell in notebook.cells if cell.id == "mine").id = f"mine-{number}"
    answer = next(cell for cell in notebook.cells if cell.id == "positions-answer")
    answer.source = "\n".join([*(f"needed_{number}" for number in range(MAX_KERNELS + 1)), answer.source])
    verdicts = run(course, tmp_path, notebook)
    assert [verdict.points for verdict in verdicts] == [1, 1, 0, 0, 0]
    assert all("ended the kernel" in verdict.message for verdict in verdicts[2:])


def test_an_answer_that_ends_the_kernel_costs_itself_alone(course, tmp_path):
    notebook = solved(course)
    answer = next(cell for cell in notebook.cells if cell.id == "share-answer")
    answer.source, answer.metadata["autograde"] = "share = 2 / 3\nexit()", {"own": True}
    verdicts = run(course, tmp_path, notebook)
    assert [verdict.points for verdict in verdicts] == [1, 0, 1, 2, 4]
    assert "its cell was left out" in verdicts[1].message and "ended the kernel" in verdicts[1].message


@pytest.mark.parametrize("body", ["while True: pass", "import os; os._exit(1)"])
def test_a_function_that_hangs_or_leaves_when_it_is_called_costs_itself_alone(course, tmp_path, body):
    notebook = solved(course)
    cells = notebook.cells
    answer = next(cell for cell in cells if cell.id == "cut-rows-answer")
    check = next(cell for cell in cells if cell.id == "cut-rows")
    answer.source = f"def rows(images, patch):\n    {body}"
    cells.remove(answer), cells.remove(check)
    cells[2:2] = [answer, check]  # before all others
    verdicts = run(course, tmp_path, notebook, cell_seconds=2)
    assert {verdict.exercise: verdict.points for verdict in verdicts}["cut-rows"] == 0
    assert sum(verdict.points for verdict in verdicts) == 5


def test_the_slowest_cells_are_left_out_where_the_notebook_takes_too_long(course, tmp_path):
    notebook = solved(course)
    for number in range(4):
        add_before(notebook, "tokens-prompt", "import time; time.sleep(3)")
        next(cell for cell in notebook.cells if cell.id == "mine").id = f"mine-{number}"
    verdicts = run(course, tmp_path, notebook, cell_seconds=10, notebook_seconds=6)
    assert [verdict.points for verdict in verdicts] == [1, 1, 1, 2, 4]
    assert re.fullmatch(
        r"cell \d+ was left out: the notebook ran longer than 6 seconds; it took \d+ seconds; .* without it\.",
        notebook.metadata.autograde.notes[0],
    )


def test_a_value_that_was_there_counts_whatever_comes_later(course, tmp_path):
    notebook = add_before(solved(course), "positions-prompt", "tokens = 4")
    assert run(course, tmp_path, notebook)[0].points == 1
    notebook = add_before(solved(course), "tokens", "tokens = 4")
    add_before(notebook, "positions-prompt", "tokens = 16")
    assert run(course, tmp_path, notebook)[0].points == 0


def test_a_cell_of_the_release_that_takes_too_long_leaves_the_result_unsettled(course, tmp_path):
    notebook = add_before(solved(course), "positions-prompt", "import time; time.sleep(60)")
    next(cell for cell in notebook.cells if cell.id == "mine").metadata = {}
    verdicts = run(course, tmp_path, notebook, cell_seconds=2)
    assert [verdict.points for verdict in verdicts] == [1, 1, 1, 2, 4]
    assert "ran longer than 2 seconds" in notebook.metadata.autograde.unsettled


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


@pytest.mark.parametrize("gui", ["widget", "notebook", "qt", "tk", "inline"])
def test_an_answer_behind_another_back_end_is_there(course, tmp_path, gui):
    notebook = solved(course)
    next(cell for cell in notebook.cells if cell.id == "tokens-answer").source = f"%matplotlib {gui}\ntokens = 16"
    assert run(course, tmp_path, notebook, cell_seconds=60)[0].points == 1


def test_an_illustration_is_not_run(course, tmp_path):
    released = course.template(TOY)
    notebook = repair(nbformat.writes(released).encode(), released).notebook
    run(course, tmp_path, notebook)
    assert outputs_of(notebook, "figure") == []


def test_a_verdict_replaces_what_the_learner_left_in_the_graded_cell(course, tmp_path):
    notebook = solved(course)
    graded_cell = next(cell for cell in notebook.cells if cell.id == "tokens")
    graded_cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "99"})]
    run_notebook(notebook, course.key(TOY), tmp_path, Limits())
    assert read_verdict(graded_cell)["points"] == 1
    assert [output.data["text/plain"] for output in graded_cell.outputs][1] == "1.0"
