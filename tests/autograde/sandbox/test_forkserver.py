"""Kernels that are forks: warm, apart from each other, and kernels like any other to Jupyter's tools."""

import os
import socket
import subprocess
import sys

import nbformat
import pytest

from autograde.sandbox.forkserver import ForkServer, fork_server
from tests.autograde.sandboxed import PATIENCE, sandboxed


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with sandboxed(tmp_path_factory.mktemp("desk")) as kernel:
        yield kernel


def test_what_chapters_import_is_there_already(kernel):
    wanted = ["torch", "numpy", "matplotlib.pyplot", "vitlib.vit.patches", "autograde.answers.outcomes"]
    assert kernel.outcome(f"[name for name in {wanted} if name not in sys.modules]") == "[]"


def test_no_thread_passes_messages_on_to_the_one_that_runs_cells(kernel):
    kernel.run("import threading")
    assert "Shell channel" not in kernel.outcome("[thread.name for thread in threading.enumerate()]")
    assert kernel.run("import asyncio\nawait asyncio.sleep(0)\nprint('awaited')") == "awaited"


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


def test_an_interrupted_kernel_goes_on_with_what_it_had(kernel):
    kernel.run("kept = 42")
    kernel.send("while True: pass")
    kernel.manager.interrupt_kernel()
    assert kernel.run("print(kept)") == "42"


def test_a_kernel_that_ends_says_how(tmp_path):
    with sandboxed(tmp_path) as kernel:
        kernel.client.execute("os._exit(3)")  # it may end before it says that it began
        while kernel.manager.is_alive():
            pass
        assert kernel.manager.provisioner._status == 3


def test_forks_know_nothing_of_each_other(tmp_path):
    with sandboxed(tmp_path) as one:
        one.run("import torch, builtins; torch.ones = None; builtins.sum = max; secret = 'of one'")
        with sandboxed(tmp_path) as other:
            assert other.run("import torch; print(sum([1, 2]), torch.ones(1))") == "3 tensor([1.])"
            assert other.outcome("secret") == "NameError"


def test_a_restarted_kernel_starts_afresh(tmp_path):
    with sandboxed(tmp_path) as kernel:
        kernel.run("kept = 42")
        kernel.manager.restart_kernel(now=True)
        kernel.client.wait_for_ready(timeout=PATIENCE)
        assert kernel.run("print('kept' in globals())") == "False"


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


def test_any_jupyter_tool_can_use_it(tmp_path):
    cell = nbformat.v4.new_code_cell("import os; print(os.getpid(), os.listdir())")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    (tmp_path / "work").mkdir()
    nbformat.write(notebook, tmp_path / "work" / "notebook.ipynb")
    subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "--inplace", "notebook.ipynb"],
        cwd=tmp_path / "work",
        env=os.environ | {"JUPYTER_DEFAULT_PROVISIONER_NAME": "autograde-sandbox"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    (cell,) = nbformat.read(tmp_path / "work" / "notebook.ipynb", as_version=4).cells
    assert cell.outputs[0].text == "1 ['notebook.ipynb']\n"
