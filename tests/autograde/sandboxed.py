"""A sandboxed kernel to talk to, for tests."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from autograde.engine.limits import Limits
from autograde.engine.session import Session
from autograde.sandbox.confine import Caps

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
    def __init__(self, session: Session):
        self.session = session

    def run(self, code: str) -> str:
        """What `code` prints and shows; the last line of its traceback where it fails."""
        cell = new_code_cell(code)
        self.session.execute(cell)
        return "".join(map(_text, cell.outputs)).strip()

    def outcome(self, expression: str) -> str:
        """The value of `expression` as text, or the name of the exception it raises."""
        return self.run(f"print(outcome(lambda: {expression}))")

    def send(self, code: str) -> None:
        """Have `code` run, and wait for nothing but its start."""
        deadline = time.monotonic() + PATIENCE
        code = f"print('begun', flush=True)\n{code}"
        request = {"id": "", "code": code, "silent": True, "expressions": {}, "trial": ""}
        self.session._channel.send(request, deadline)
        while self.session._channel.receive(deadline)["type"] != "stream":
            pass

    @property
    def ended(self) -> bool:
        return self.session._process.poll() is not None

    @property
    def reason(self) -> str:
        return self.session._process.reason


def _text(output: NotebookNode) -> str:
    match output.output_type:
        case "stream":
            return str(output.text)
        case "error":
            return f"{output.ename}: {output.evalue}"
    return " ".join([output.data["text/plain"], *output.data])


@contextmanager
def sandboxed(folder: Path, caps: Caps = Caps()) -> Iterator[Kernel]:  # noqa: B008  (a frozen dataclass)
    """A kernel in a fork of this process's fork server, with the files of `folder`; gone at the end."""
    limits = Limits(PATIENCE, overtime=PATIENCE, memory=caps.memory, processes=caps.processes, scratch=caps.scratch)
    with Session.started(folder, limits) as session:
        kernel = Kernel(session)
        kernel.run(PRELUDE)
        yield kernel


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
