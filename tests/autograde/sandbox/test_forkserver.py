"""Kernels that are forks: warm, apart from each other, and kernels like any other to Jupyter's tools."""

import os
import socket
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell

from autograde.sandbox.forkserver import ForkServer, fork_server
from tests.autograde.sandboxed import PATIENCE, sandboxed


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with sandboxed(tmp_path_factory.mktemp("desk")) as kernel:
        yield kernel


def test_what_chapters_import_is_there_already(kernel):
    wanted = ["torch", "numpy", "matplotlib.pyplot", "vitlib.vit.patches", "autograde.answers.outcomes"]
    assert kernel.outcome(f"[name for name in {wanted} if name not in sys.modules]") == "[]"


def test_cells_run_in_the_one_thread_there_is_and_in_a_running_loop(kernel):
    kernel.run("import threading, asyncio")
    assert kernel.outcome("[thread.name for thread in threading.enumerate()]") == "['MainThread']"
    kernel.run("task = asyncio.create_task(asyncio.sleep(0, 42))")
    assert kernel.run("print(await task)") == "42"


def test_a_program_that_a_cell_starts_is_heard(kernel):
    assert kernel.run("import subprocess\nprint(subprocess.run(['echo', 'hello']).returncode)").split() == [
        "0",
        "hello",
    ]
    assert kernel.run("print('once')") == "once"
    cell = new_code_cell("subprocess.run('echo one; echo two >&2', shell=True); None")
    kernel.session.execute(cell)
    assert [(output.name, output.text) for output in cell.outputs] == [("stdout", "one\n"), ("stderr", "two\n")]


def test_what_forks_print_is_shown_once(kernel):
    code = (
        "print('parent')\nif (child := os.fork()) == 0: print('child', flush=True); os._exit(0)\nos.waitpid(child, 0)"
    )
    assert kernel.run(f"{code}; None").split() == ["parent", "child"]


@pytest.mark.parametrize(
    "line",
    [
        *("%matplotlib inline", "%matplotlib", "%config InlineBackend.figure_format = 'retina'", "%gui", "%env A=1"),
        *("%load_ext autoreload", "%store -r", "%xmode Verbose", "%precision 3"),
    ],
)
def test_what_notebooks_begin_with_costs_nothing_behind_it(kernel, line):
    assert kernel.run(f"{line}\nprint('goes on')").endswith("goes on")


def test_a_figure_is_shown_inline(kernel):
    code = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); assert plt.gca().lines"
    assert "image/png" in kernel.run(code)
    assert "no windows of qt" in kernel.run("%gui qt")


def test_nobody_is_there_to_answer(kernel):
    assert kernel.run("input('who? ')").startswith("StdinNotImplementedError")


def test_widgets_and_displays_find_a_frontend(kernel):
    code = (
        "import ipywidgets\nslider = ipywidgets.IntSlider(3)\ndisplay(slider)\nslider.value += 1\nprint(slider.value)"
    )
    assert "4" in kernel.run(code)
    shown = kernel.run("handle = display(1, display_id=True); handle.update(2)")
    assert shown.startswith("1")


def test_a_notebooks_imports_and_operations_find_nothing_amiss(kernel):
    code = """
import torch
layer = torch.nn.Linear(64, 64)
loss = layer(torch.ones(8, 64)).square().mean()
loss.backward()
print(layer.weight.grad.shape, torch.get_num_threads(), torch.cuda.is_initialized())
"""
    assert kernel.run(code) == "torch.Size([64, 64]) 1 False"


def test_figures_are_shown(kernel):
    shown = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert shown.endswith("image/png")


def test_a_data_loader_may_have_workers(kernel):
    code = """
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(8.0))
print(sum(float(batch.sum()) for (batch,) in DataLoader(data, batch_size=2, num_workers=2)))
"""
    assert kernel.run(code) == "28.0"


def test_shell_commands_run(kernel):
    assert kernel.run("!echo hello").split() == ["hello"]


def test_forks_know_nothing_of_each_other(tmp_path):
    with sandboxed(tmp_path) as one:
        one.run("import torch, builtins; torch.ones = None; builtins.sum = max; secret = 'of one'")
        with sandboxed(tmp_path) as other:
            assert other.run("import torch; print(sum([1, 2]), torch.ones(1))") == "3 tensor([1.])"
            assert other.outcome("secret") == "NameError"


def test_a_fork_server_that_died_is_replaced(tmp_path):
    server = fork_server()
    with sandboxed(tmp_path) as kernel:
        before = server._process
        before.kill()
        before.wait()
        del kernel
    with sandboxed(tmp_path) as kernel:
        assert kernel.run("print(6 * 7)") == "42"
    assert server._process is not before


def test_a_closed_fork_server_is_gone():
    server = ForkServer(warm=())
    server.connect().close()
    process = server._process
    server.close()
    assert process.poll() is not None


def test_an_import_that_starts_a_thread_is_refused(tmp_path):
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    (tmp_path / "busy.py").write_text(thread)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-m", "autograde.sandbox.forkserver", str(theirs.fileno()), "busy"],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert "importing busy started 1 threads; a fork would lose them" in done.stderr
