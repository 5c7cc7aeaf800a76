"""The kernel that grading uses: IPython's own, with one pipe to the grader in place of ZeroMQ's sockets and threads.

Both ends write JSON, a message a line. The grader sends `{"id", "code", "silent", "expressions", "trial"}`, the last an
expression that is to be tried behind the learner's code, or nothing. The kernel sends outputs with Jupyter's names,
`{"type": "stream", "content": {...}}`, and behind them the reply to the request, `{"type": "reply", "id", "content",
"held", "tried"}`, with the bytes of memory that the kernel holds now, and what the trial gave. Before the first request
it sends `{"type": "ready", "content": {}, "held"}`. Cells run in ipykernel's `do_execute`, inside a running event loop,
as they do in a notebook.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
from typing import Any, cast

from ipykernel.eventloops import loop_map
from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.error import UsageError
from tornado.ioloop import IOLoop
from traitlets import Type
from traitlets.config import Config

from autograde.sandbox.pipe import Pipe

MAX_REQUEST = 2**30  # bytes
# A coloured traceback takes 30 ms, and nobody asks for earlier sessions.
SETTINGS = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"xmode": "Plain"}})


class _NoThread:
    """What ipykernel finds in place of its thread for subshells: there is none, and cells run in the main thread."""

    parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False


class Shell(ZMQInteractiveShell):
    """IPython's shell, which asks no application for the kernel: none has started it."""

    def enable_matplotlib(self, gui: Any = None) -> Any:
        """Figures go into the notebook, whichever window or widget is asked for: an answer may stand behind it."""
        return super().enable_matplotlib("inline")

    def enable_gui(self, gui: Any = None) -> None:
        """`%matplotlib inline` needs no window, and there is none for others."""
        if loop_map.get(gui, gui) is not None:
            raise UsageError(f"there are no windows of {gui} while grading")


class PipedKernel(IPythonKernel):
    """ipykernel's IPythonKernel, which runs what comes through the pipe."""

    shell: Any  # a Shell, always
    shell_class = Type(Shell)
    shell_channel_thread = _NoThread()

    def serve(self, connection: socket.socket, statm: int) -> None:
        """Answer what comes through `connection` until it is closed; it takes over this process's streams.

        `statm` is this process's /proc/self/statm, opened before it was shut in.
        """
        pipe = cast(Pipe, self.session)
        pipe.open(connection)
        asyncio.run(self._serve(pipe, statm))

    async def _serve(self, pipe: Pipe, statm: int) -> None:
        self.io_loop = IOLoop.current()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # but while a cell runs
        requests, _ = await asyncio.open_connection(sock=pipe.connection.dup(), limit=MAX_REQUEST)
        elsewhere = {"stdout": _Elsewhere(1), "stderr": _Elsewhere(2)}
        pipe.tell(type="ready", content={}, held=_held(statm))
        process = os.getpid()
        while line := await requests.readline():
            request = json.loads(line)
            content = await self._run(request["code"], request["silent"], request["expressions"])
            if os.getpid() != process:
                os._exit(0)  # a copy of this kernel, made by a fork in the cell: one of them answers
            pipe.mend()
            for name, file in elsewhere.items():
                if text := file.taken():
                    pipe.tell(type="stream", content={"name": name, "text": text})
            tried = await self._tried(request["trial"]) if request["trial"] else {}
            pipe.tell(type="reply", id=request["id"], content=content, held=_held(statm), tried=tried)

    async def _tried(self, expression: str) -> Any:
        """The value of an expression, or the error: whether this kernel still runs cells and gives answers.

        Tried behind every cell of the learner's, so that the one that did the harm is known: it would show in others.
        """
        try:
            await asyncio.sleep(0)  # a loop that is to stop, stops here
            reply = await self._run("None", True, {"answer": expression})
            return reply["user_expressions"]["answer"] if reply["status"] == "ok" else reply
        except Exception as error:
            return {"ename": type(error).__name__, "evalue": str(error)}

    async def _run(self, code: str, silent: bool, expressions: dict[str, str]) -> Any:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return json_clean(await self.do_execute(code, silent, not silent, expressions))
        except (ValueError, KeyboardInterrupt) as error:  # a value that is not JSON, or an interrupt while no cell runs
            return {"status": "error", "ename": type(error).__name__, "evalue": str(error)}
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _held(statm: int) -> int:
    """Bytes of memory that this process holds, without those of files."""
    _, resident, of_files, *_ = map(int, os.pread(statm, 200, 0).split())
    return (resident - of_files) * resource.getpagesize()


class _Elsewhere:
    """What bypasses Python's streams on its way to standard output or error, as from programs that a cell starts."""

    def __init__(self, number: int):
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  # open for as long as the kernel is
        os.dup2(self.file.fileno(), number)

    def taken(self) -> str:
        size = os.fstat(file := self.file.fileno()).st_size
        if not size:
            return ""
        text = os.pread(file, size, 0).decode(errors="replace")
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        return text


def open_statm() -> int:
    """This process's /proc/self/statm, which says how much memory it holds; a process that is shut in sees none."""
    return os.open("/proc/self/statm", os.O_RDONLY)


def make_kernel() -> PipedKernel:
    """A kernel that waits for its pipe. It may be made before a fork: no thread runs, and no file is open."""
    sys.path.insert(0, "")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ.update(PIP_RETRIES="0", PIP_NO_INPUT="1")  # without a network, pip would try until its cell's time is up
    kernel = PipedKernel.instance(config=SETTINGS, session=Pipe(), log=logging.getLogger(__name__))
    kernel.shell.extension_manager.load_extension("storemagic")  # as every notebook's kernel does
    return kernel


if __name__ == "__main__":
    make_kernel().serve(socket.socket(fileno=int(sys.argv[1])), open_statm())
