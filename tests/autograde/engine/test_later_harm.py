"""What a cell of the learner's does to the kernel costs that cell alone, also where it shows in a later cell only."""

import nbformat
import pytest

from autograde.engine import execute
from autograde.engine.accidents import needless
from autograde.engine.session import Session
from tests.autograde.engine.test_execute import add_before, outputs_of, run, solved

FULL = [1, 1, 1, 2, 4]
HARMLESS = {  # what another notebook goes on after, too
    "no stdout": "import sys; sys.stdout = None",
    "no stderr": "import sys; del sys.stderr",
    "stdout closed": "import sys; sys.stdout = open('log.txt', 'w'); sys.stdout.close()",
    "stdout kept": "import io, sys; sys.stdout = io.StringIO()",
    "descriptors closed": "import os; os.closerange(0, 3)",
    "builtins replaced": "import builtins; builtins.print = builtins.input = builtins.open = None",
    "names taken": "str = 'abc'; list = [1]; sum = print = open = id = type = 0",
    "float64": "import torch; torch.set_default_dtype(torch.float64)",
    "meta": "import torch; torch.set_default_device('meta')",
    "elsewhere": "import os; os.mkdir('d'); os.chdir('d'); os.rmdir('../d')",
    "recursion": "import sys; sys.setrecursionlimit(100)",
    "prints for ever": "import threading\ndef f():\n    while True: print('x')\nthreading.Thread(target=f).start()",
    "signals ignored": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "hooks": "import sys; sys.excepthook = sys.displayhook = None",
    "traced": "import sys\ndef f(*_): raise ValueError\nsys.settrace(f)",
    "softmax": "import torch; torch.nn.functional.softmax = None",
    "warnings are errors": "import warnings; warnings.simplefilter('error')",
    "a fork": "import os; os.fork()",
    "an event": "def f(*_): raise ValueError\nget_ipython().events.register('pre_run_cell', f)",
}
AT_ONCE = {  # what no other cell could run after, or no answer be read
    "the loop": "import asyncio; asyncio.get_running_loop().stop()",
    "its tasks": "import asyncio\nfor task in asyncio.all_tasks(): task.cancel()",
    "the shell": "get_ipython().run_cell = get_ipython().run_cell_async = None",
    "displays": "get_ipython().display_formatter = None",
    "imports": "__import__ = 3",
    "numbers": "import math; math.isfinite = None",
    "all descriptors": "import os; os.closerange(3, 256)",
}
TASK = "import asyncio, time\nasync def f():\n    await asyncio.sleep(0.2)\n    DOES\ntask = asyncio.create_task(f())"
LATER = {  # what ends or stops the kernel while an answer's cell runs, or is read
    "a timer": "import os, threading\nthreading.Timer(0.3, lambda: os._exit(1)).start()",
    "a watchdog": "import faulthandler; faulthandler.dump_traceback_later(0.3, exit=True)",
    "a task that leaves": TASK.replace("DOES", "raise SystemExit"),
    "a task that stays": TASK.replace("DOES", "time.sleep(99)"),
}


@pytest.fixture
def kernels(monkeypatch):
    """One entry for every kernel that is started."""
    started, begin = [], Session.started

    def count(*arguments):
        started.append(arguments)
        return begin(*arguments)

    monkeypatch.setattr(Session, "started", count)
    return started


def answered(course, seconds=0.0):
    """Every answer right, in cells of the learner's, one of which takes some time."""
    notebook = solved(course)
    for cell in notebook.cells:
        if cell.id.endswith("-answer"):
            cell.metadata["autograde"] = {"own": True}
        if cell.id == "positions-answer":
            cell.source = f"import time; time.sleep({seconds})\n{cell.source}"
    return notebook


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS)
def test_what_a_notebook_survives_the_grader_survives(course, tmp_path, source, kernels):
    notebook = add_before(answered(course), "share-prompt", source)
    assert [verdict.points for verdict in run(course, tmp_path, notebook, cell_seconds=60)] == FULL
    assert len(kernels) == 1


@pytest.mark.parametrize("source", AT_ONCE.values(), ids=AT_ONCE)
def test_a_cell_that_breaks_the_kernel_is_found_at_once(course, tmp_path, source, kernels):
    notebook = add_before(answered(course), "share-prompt", source)
    assert [verdict.points for verdict in run(course, tmp_path, notebook, cell_seconds=60)] == FULL
    assert len(kernels) == 2
    (note,) = notebook.metadata.autograde.notes
    assert note.startswith("cell 6 was left out: it ") and note.endswith("; the notebook ran again without it.")
    assert outputs_of(notebook, "mine")[-1].ename == "LeftOut"


@pytest.mark.parametrize("source", LATER.values(), ids=LATER)
def test_an_answer_does_not_pay_for_what_an_earlier_cell_left_behind(course, tmp_path, source, kernels):
    notebook = add_before(answered(course, seconds=1), "share-prompt", source)
    add_before(notebook, "tokens-prompt", "harmless = 1")
    assert [verdict.points for verdict in run(course, tmp_path, notebook)] == FULL
    assert len(kernels) == 2
    (note,) = notebook.metadata.autograde.notes
    assert note.startswith("cell 3, cell 7 were left out: after them, ")
    assert note.endswith("; without them, that did not happen.")


def test_an_answer_that_ends_the_kernel_itself_is_told_from_the_cells_before_it(course, tmp_path, kernels):
    notebook = add_before(answered(course), "share-prompt", "seed = 1")
    answer = next(cell for cell in notebook.cells if cell.id == "positions-answer")
    answer.source += "\nimport os; os._exit(1)"
    assert [verdict.points for verdict in run(course, tmp_path, notebook)] == [1, 1, 0, 2, 4]
    assert len(kernels) == 3  # as it is, without the cell before it, and without itself
    assert [note[:18] for note in notebook.metadata.autograde.notes] == ["cell 11 was left o"]
    assert outputs_of(notebook, "mine") == []


def test_a_function_that_breaks_the_kernel_when_it_is_called_keeps_its_points(course, tmp_path, kernels):
    notebook = answered(course)
    function = next(cell for cell in notebook.cells if cell.id == "cut-rows-answer")
    function.source += "\ndid = rows\ndef rows(*given):\n    get_ipython().run_cell = None\n    return did(*given)"
    check = next(cell for cell in notebook.cells if cell.id == "cut-rows")
    for cell in (check, function):
        notebook.cells.remove(cell)
        notebook.cells.insert(2, cell)
    verdicts = {verdict.exercise: verdict.points for verdict in run(course, tmp_path, notebook)}
    assert sum(verdicts.values()) == 9 and len(kernels) == 2


def test_any_number_of_accidents_takes_few_kernels(course, tmp_path, kernels):
    notebook = answered(course)
    for number in range(20):
        add_before(notebook, "share-prompt", "exit()")
        next(cell for cell in notebook.cells if cell.id == "mine").id = f"mine-{number}"
    assert [verdict.points for verdict in run(course, tmp_path, notebook)] == FULL
    assert len(kernels) == execute.MANY + 1


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a = 1", "b = a"], {0, 1}),
        (["a = 1", "tokens = a"], {1}),
        (["import torch", "import torch; torch.manual_seed(0)", "print(torch)"], {1, 2}),
        (["import torch", "torch.softmax = min", "tokens = torch.softmax(1, 2)"], set()),
        (["from math import *", "%run helpers.py", "!ls", "exec('a = 1')"], set()),
        (["import os\nos._exit(1)", "import os"], {0, 1}),
    ],
)
def test_cells_that_nothing_needs(sources, expected):
    cells = [nbformat.v4.new_code_cell(source, metadata={"autograde": {"own": True}}) for source in sources]
    for cell in cells:
        if "tokens" in cell.source or cell.source == "import torch":
            cell.metadata = {"nbgrader": {"solution": True}}
    last = nbformat.v4.new_code_cell("check('tokens', tokens)")
    found = needless(nbformat.v4.new_notebook(cells=[*cells, last]))
    assert found == {number for number in expected if "nbgrader" not in cells[number].metadata}
