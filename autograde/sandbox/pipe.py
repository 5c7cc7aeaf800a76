"""The kernel's end of the pipe to the grader: what IPython and ipykernel send a frontend, and what is printed."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
from typing import Any

from jupyter_client.session import Session

_PATIENCE = 10**6  # seconds that a message may wait for the grader to read
_PIECE, _PIECES = 2**13, 2**10  # characters of printed text, and number of texts, that are sent at once
_PAUSE = 0.1  # seconds after which printed text does not wait for more


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
