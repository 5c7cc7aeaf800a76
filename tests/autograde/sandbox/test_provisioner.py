"""A sandboxed kernel is one like any other to Jupyter's tools."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from autograde.sandbox.provisioner import SandboxProvisioner
from tests.autograde.sandboxed import PATIENCE


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager = KernelManager(kernel_id=os.urandom(8).hex())
    spec = {"kernel_id": manager.kernel_id, "kernel_spec": manager.kernel_spec}
    manager.provisioner = SandboxProvisioner(**spec, parent=manager)
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def status(client, code):
    return client.execute_interactive(code, allow_stdin=False, timeout=PATIENCE)["content"]["status"]


def test_an_interrupted_kernel_goes_on_with_what_it_had(kernel):
    manager, client = kernel
    status(client, "kept = 42")
    client.execute("while True: pass", stop_on_error=False)
    while client.get_iopub_msg(timeout=PATIENCE)["header"]["msg_type"] != "execute_input":
        pass
    manager.interrupt_kernel()
    assert status(client, "assert kept == 42") == "ok"


def test_a_kernel_that_ends_says_how(kernel):
    manager, client = kernel
    client.execute("import os; os._exit(3)")
    while manager.is_alive():
        pass
    assert manager.provisioner.confined.status == 3


def test_a_restarted_kernel_starts_afresh(kernel):
    manager, client = kernel
    status(client, "kept = 42")
    manager.restart_kernel(now=True)
    client.wait_for_ready(timeout=PATIENCE)
    assert status(client, "assert 'kept' not in globals()") == "ok"


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
