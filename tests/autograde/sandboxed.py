"""A sandboxed kernel to talk to, for tests."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from autograde.sandbox.confine import Caps
from autograde.sandbox.provisioner import SandboxProvisioner

PRELUDE = """
import ctypes, os, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def outcome(action):
    try:
        return repr(action())
    except BaseException as error:
        return type(error).__name__
"""


PATIENCE = 300  # seconds, for what takes a moment on an idle machine


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient):
        self.manager, self.client = manager, client

    def run(self, code: str, seconds: float = PATIENCE) -> str:
        """What `code` prints and shows; the last line of its traceback where it fails."""
        heard: list[str] = []

        def hear(message):
            content = message["content"]
            match message["header"]["msg_type"]:
                case "stream":
                    heard.append(content["text"])
                case "display_data" | "execute_result":
                    heard.append(" ".join([content["data"]["text/plain"], *content["data"]]))
                case "error":
                    heard.append(f"{content['ename']}: {content['evalue']}")

        self.client.execute_interactive(code, allow_stdin=False, timeout=seconds, output_hook=hear)
        return "".join(heard).strip()

    def outcome(self, expression: str) -> str:
        """The value of `expression` as text, or the name of the exception it raises."""
        return self.run(f"print(outcome(lambda: {expression}))")

    def send(self, code: str) -> None:
        """Have `code` run, and wait for nothing but its start."""
        self.client.execute(code, stop_on_error=False)
        while self.client.get_iopub_msg(timeout=PATIENCE)["header"]["msg_type"] != "execute_input":
            pass

    @property
    def reason(self) -> str:
        return self.manager.provisioner.reason


@contextmanager
def sandboxed(folder: Path, caps: Caps = Caps()) -> Iterator[Kernel]:  # noqa: B008  (a frozen dataclass)
    """A kernel in a fork of this process's fork server, with the files of `folder`; gone at the end."""
    manager = KernelManager(kernel_id=os.urandom(8).hex())
    manager.provisioner = SandboxProvisioner(
        kernel_id=manager.kernel_id,
        kernel_spec=manager.kernel_spec,
        parent=manager,
        memory=caps.memory,
        processes=caps.processes,
        scratch=caps.scratch,
    )
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        kernel = Kernel(manager, client)
        kernel.run(PRELUDE)
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def processes() -> list[int]:
    return [int(process.name) for process in Path("/proc").iterdir() if process.name.isdecimal()]


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:  # it has just ended
        return ""


def parent(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("PPid:")[1].split()[0])


def running(marker: str) -> bool:
    """Whether any other process of this machine has `marker` in its command line."""
    return any(marker in command_line(process) for process in processes() if process != os.getpid())


def until(happened, seconds=120):
    """What `happened` says as soon as it is true, else at the end of this time."""
    deadline = time.monotonic() + seconds
    while not (done := happened()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return done
