"""What the grader accepts from a learner's kernel, which may send anything.

Messages are read one at a time, up to a size, and their values are counted before they are parsed. Of
a cell's outputs only text and plain pictures are kept, rebuilt from parts that were looked at: nothing that a
feedback page could run.
"""

from __future__ import annotations

import base64
import html
import json
import select
import socket
import time
from typing import Any

from nbformat import NotebookNode

from autograde.engine.cells import new_output
from autograde.engine.reading import sendable
from autograde.sandbox.process import Process

MAX_MESSAGE = 128 * 2**20  # bytes
MAX_VALUES = 1_000_000  # values in one message
MAX_SHOWN = 2**20  # characters of outputs that a cell keeps
MAX_OUTPUTS = 100  # of a cell
MAX_SHOWN_IN_ALL = 32 * 2**20  # characters of outputs that a notebook keeps
MAX_ALT = 1000  # characters of a picture's alternative text
_PICTURES = ("image/png", "image/jpeg")


class Channel:
    """The pipe to a kernel, message by message; `process` tells where the kernel is gone and the pipe is still held."""

    def __init__(self, connection: socket.socket, process: Process):
        self._connection = connection
        self._heard, self._searched = bytearray(), 0  # what has arrived, and how much of it has no end of a line
        self._poll = select.poll()
        for source in (connection, process):
            self._poll.register(source, select.POLLIN)

    def send(self, request: dict[str, Any], deadline: float) -> None:
        """Raises TimeoutError, or EOFError where nobody listens."""
        self._connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise error if isinstance(error, TimeoutError) else EOFError from None

    def receive(self, deadline: float) -> dict[str, Any]:
        """The next message.

        Raises:
            TimeoutError: it does not come before the deadline. EOFError: none will come.
            ValueError: it is too large, or no message.
        """
        while True:
            if time.monotonic() > deadline:
                raise TimeoutError
            end = self._heard.find(b"\n", self._searched)
            if end < 0:
                self._searched = len(self._heard)
                self._hear(deadline)
                continue
            line = bytes(self._heard[:end])
            del self._heard[: end + 1]
            self._searched = 0
            if line:
                message = read_json(line)
                if not isinstance(message, dict) or not isinstance(message.get("content"), dict):
                    raise ValueError("no message")
                return message

    def _hear(self, deadline: float) -> None:
        if len(self._heard) > MAX_MESSAGE:
            raise ValueError(f"a message of more than {MAX_MESSAGE:,} bytes")
        ready = dict(self._poll.poll(1000 * max(0.0, deadline - time.monotonic())))
        if self._connection.fileno() in ready:
            try:
                more = self._connection.recv(2**20)
            except ConnectionResetError:
                more = b""
            if not more:
                raise EOFError
            self._heard += more
        elif ready:
            raise EOFError


class Shown:
    """What one notebook's cells may still show."""

    def __init__(self) -> None:
        self.room = 0  # characters that the cell may still show
        self.room_in_all = MAX_SHOWN_IN_ALL  # and the notebook

    def begin(self) -> None:
        """The next cell's outputs follow."""
        self.room = max(1, min(MAX_SHOWN, self.room_in_all))

    def take(self, outputs: list[NotebookNode], kind: str, content: dict[str, Any]) -> None:
        """Add one message of a running cell to its outputs. Widgets' messages and updates of outputs change nothing."""
        if kind == "clear_output":
            outputs.clear()
        elif self.room > 0 and (output := rebuild(kind, content)) is not None:
            self._keep(outputs, output)

    def _keep(self, outputs: list[NotebookNode], output: NotebookNode) -> None:
        size = len(json.dumps(output))
        cost = max(size, MAX_SHOWN // MAX_OUTPUTS if output.output_type != "stream" else 0)
        self.room, self.room_in_all = self.room - cost, self.room_in_all - cost
        if self.room <= 0:
            outputs.append(new_output("stream", name="stderr", text="… the rest of this cell's output is left out"))
        elif outputs and output.output_type == "stream" and outputs[-1].get("name") == output.name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)


def rebuild(kind: str, content: dict[str, Any]) -> NotebookNode | None:
    """An output rebuilt from what a message holds, or None where the message is not an output."""
    match kind, content:
        case "stream", {"name": "stdout" | "stderr" as name, "text": str(text)}:
            return new_output(kind, name=name, text=sendable(text))
        case "error", {"ename": str(name), "evalue": str(value), "traceback": list(lines)}:
            shown = [sendable(line) for line in lines if isinstance(line, str)]
            return new_output(kind, ename=sendable(name), evalue=sendable(value), traceback=shown)
        case "display_data" | "execute_result", {"data": dict(data)} if kept := _plain(data):
            number = {"execution_count": None} if kind == "execute_result" else {}
            return new_output(kind, data=NotebookNode(kept), metadata=NotebookNode(), **number)
    return None


def _plain(data: dict[str, Any]) -> dict[str, str]:
    """Text and pictures of a display: HTML, LaTeX and JavaScript could act on whoever looks at the feedback.

    So could an SVG in a page; in an <img> nothing of it runs, and nothing is loaded.
    """
    kept = {}
    if isinstance(text := data.get("text/plain"), str):
        kept["text/plain"] = sendable(text)
    for kind in _PICTURES:
        if isinstance(picture := data.get(kind), str):
            try:
                kept[kind] = base64.b64encode(base64.b64decode(picture)).decode("ascii")
            except ValueError:
                continue
    if isinstance(drawing := data.get("image/svg+xml"), str) and not kept.keys() & set(_PICTURES):
        inside = base64.b64encode(sendable(drawing).encode()).decode("ascii")
        alt = html.escape(kept.get("text/plain", "a drawing")[:MAX_ALT])
        kept["text/html"] = f'<img src="data:image/svg+xml;base64,{inside}" alt="{alt}">'
    return kept


def result_of(reply: dict[str, Any] | None, name: str = "answer") -> Any:
    """The result of an expression that was sent with a request; None where the reply has none."""
    match reply:
        case {"user_expressions": dict(values)}:
            return values.get(name)
    return None


def read_json(data: bytes) -> Any:
    """Parse JSON, but at most MAX_VALUES values: a message within the limit of its size can hold a great many.

    Raises:
        ValueError: too many values, nested too deeply, or no JSON.
    """
    if sum(data.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        raise ValueError(f"a message of more than {MAX_VALUES:,} values")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("a message nested too deeply") from None
