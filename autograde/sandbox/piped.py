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
import io
import json
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import Any, cast

from ipykernel.eventloops import loop_map
from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.error import UsageError
from jupyter_client.session import Session
from tornado.ioloop import IOLoop
from traitlets import Type
from traitlets.config import Config

MAX_REQUEST = 2**30  # bytes
_PATIENCE = 10**6  # seconds that a message may wait for the grader to read
_PIECE, _PIECES = 2**13, 2**10  # characters of printed text, and number of texts, that are sent at once
_PAUSE = 0.1  # seconds after which printed text does not wait for more
# A coloured traceback takes 30 ms, and nobody asks for earlier sessions.
SETTINGS = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"xmode": "Plain"}})


class Pipe(Session):
    """Where IPython, ipykernel and widgets send messages for a frontend: all of them go down the pipe, in order."""

    connection: socket.socket

    def __init__(self) -> None:
        super().__init__(key=b"nothing is signed")
        self.lock = threading.RLock()  # threads print, too
        self.written: list[str] = []  # printed text that waits for more
        self.where, self.sent = "stdout", 0.0  # the stream that it is for, and when the last was sent

    def open(self, connection: socket.socket) -> None:
        """From now on this process's standard output and error go down this pipe, too."""
        self.connection = connection
        self.connection.settimeout(_PATIENCE)
        self.streams = {"stdout": Stream(self, "stdout", 1), "stderr": Stream(self, "stderr", 2)}
        sys.stdout, sys.stderr = self.streams.values()
        # A fork would send the text again that waits, and finds the lock free
        os.register_at_fork(before=self._hold, after_in_parent=self.lock.release, after_in_child=self.lock.release)

    def mend(self) -> None:
        """Put the streams back where a cell took them away, as in `sys.stdout = None`: IPython cannot do without."""
        for name, stream in self.streams.items():
            present = getattr(sys, name, None)
            if not all(callable(getattr(present, method, None)) for method in ("write", "flush")):
                setattr(sys, name, stream)

    def msg(self, msg_type: str, content: Any = None, *_: Any, **more: Any) -> dict[str, Any]:
        header = {"msg_type": msg_type, "msg_id": ""}
        return {"header": header, "msg_type": msg_type, "content": content, "parent_header": {}, "metadata": {}}

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *_: Any, **more: Any) -> None:
        if isinstance(msg_or_type, dict):
            msg_or_type, content = msg_or_type["msg_type"], msg_or_type["content"]
        self.tell(type=msg_or_type, content=content)

    def tell(self, **message: Any) -> None:
        """Send one message; should an interrupt cut the one before it off, this one begins on a line of its own."""
        line = json.dumps(message).encode()
        with self.lock:
            self.flush()
            self.connection.sendall(b"\n" + line + b"\n")

    def write(self, where: str, text: str) -> None:
        """Send printed text in pieces, at the latest when the cell ends or something else is sent."""
        with self.lock:
            if where != self.where:
                self.flush()
                self.where = where
            self.written.append(text)
            if len(self.written) > _PIECES or len(text) > _PIECE or time.monotonic() > self.sent + _PAUSE:
                self.flush()

    def flush(self) -> None:
        with self.lock:
            text, self.written = "".join(self.written), []
            if text:
                self.sent = time.monotonic()
                self.tell(type="stream", content={"name": self.where, "text": text})

    def _hold(self) -> None:
        self.lock.acquire()
        self.flush()


class Stream(io.TextIOBase):
    """stdout or stderr, and the number of the file that programs write to which are given it."""

    encoding = "utf-8"

    def __init__(self, pipe: Pipe, name: str, number: int):
        self.pipe, self.name, self.number = pipe, name, number

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self.pipe.write(self.name, text)
        return len(text)

    def flush(self) -> None:
        self.pipe.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number


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
        except (ValueError, KeyboardInterrupt) as error:  # a value that is no JSON, or an interrupt while no cell runs
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
