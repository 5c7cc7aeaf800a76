"""What the grader lets in from a learner's kernel: it is the learner's, and may send anything.

Messages are capped before they are read and counted before they are parsed. Of a cell's outputs only text and plain
pictures are kept, built anew from parts that were looked at: nothing that a feedback page could run.
"""

from __future__ import annotations

import base64
import html
import json
import resource
import time
import uuid
from queue import Empty
from typing import Any, cast

import zmq
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete, DeadKernelError
from nbformat import NotebookNode

from autograde.engine.reading import sendable
from autograde.sandbox.confine import Caps
from autograde.sandbox.provisioner import SandboxProvisioner

MAX_REPLY = 128 * 2**20  # bytes of one message that carries answers
MAX_MESSAGE = 16 * 2**20  # bytes of any other message
MAX_QUEUE = 16  # messages of one channel that wait here
MAX_HELD = 2**30  # bytes that the grader's process may grow by while a cell runs
MAX_VALUES = 1_000_000  # values in one message
MAX_SHOWN = 2**20  # characters of outputs that a cell keeps
MAX_OUTPUTS = 100  # of a cell
MAX_SHOWN_IN_ALL = 32 * 2**20  # characters of outputs that a notebook keeps
MAX_ALT = 1000  # characters of a picture's alternative text
_PICTURES = ("image/png", "image/jpeg")


class Intake(NotebookClient):
    """A NotebookClient that expects the worst of its kernel, which is sandboxed where `caps` are given."""

    def __init__(self, notebook: NotebookNode, caps: Caps | None, **kwargs: Any):
        kwargs |= {"store_widget_state": False, "record_timing": False, "iopub_timeout": 1}
        super().__init__(notebook, on_cell_executed=self._heard, **kwargs)
        self.expressions: dict[str, str] = {}  # whose values the next reply is to bring
        self.reply: dict[str, Any] = {}
        self.caps = caps
        self.room = 0  # characters that the cell may still show
        self.room_in_all = MAX_SHOWN_IN_ALL  # and the notebook
        self.resident = _resident()  # bytes held when the cell began

    def create_kernel_manager(self) -> AsyncKernelManager:
        self.km = manager = AsyncKernelManager(kernel_id=str(uuid.uuid4()))
        _limit(manager.context, MAX_MESSAGE)
        if self.caps is not None:
            manager.provisioner = SandboxProvisioner(
                kernel_id=manager.kernel_id,
                kernel_spec=manager.kernel_spec,
                parent=manager,
                memory=self.caps.memory,
                processes=self.caps.processes,
                scratch=self.caps.scratch,
            )
        return manager

    async def async_start_new_kernel_client(self) -> Any:
        """A client with limited channels, once the kernel has answered on the shell and on the iopub channel."""
        manager = cast(AsyncKernelManager, self.km)
        self.kc = client = manager.client()
        client.shell_channel_class = _Channel
        client.session.unpack = read_json
        _limit(client.context, MAX_REPLY)
        _ = client.shell_channel  # made at first sight, under the limits of this moment
        _limit(client.context, MAX_MESSAGE)
        self._execute = client.execute
        client.execute = self._send  # type: ignore[method-assign]  # nbclient knows of no expressions
        client.start_channels(stdin=False, hb=False)  # the heartbeat has a thread; a provisioner knows who is alive
        deadline = time.monotonic() + self.startup_timeout
        asked: set[str] = set()
        while not await self._greet(client, asked):
            if time.monotonic() > deadline or not await manager.is_alive():
                await self._async_cleanup_kernel()
                raise RuntimeError("the kernel did not answer")
        return client

    async def _greet(self, client: Any, asked: set[str]) -> bool:
        """Send one more kernel_info request; True once each channel has answered one."""
        asked.add(client.kernel_info())
        for channel in (client.shell_channel, client.iopub_channel):
            try:
                while (await channel.get_msg(timeout=1))["parent_header"].get("msg_id") not in asked:
                    pass
            except Empty:
                return False
        return True

    async def _async_check_alive(self) -> None:
        if self.kc is None:
            raise DeadKernelError("Kernel was shut down")
        if _resident() - self.resident > MAX_HELD:
            await cast(AsyncKernelManager, self.km).shutdown_kernel(now=True)  # it sends faster than anyone can read
        await super()._async_check_alive()

    async def run(self, cell: NotebookNode, index: int, expressions: dict[str, str]) -> dict[str, Any]:
        """Execute a cell; the content of the kernel's reply, with the values of `expressions` if the cell succeeded."""
        self.room, self.resident = max(1, min(MAX_SHOWN, self.room_in_all)), _resident()
        self.expressions, self.reply = expressions, {}
        await self.async_execute_cell(cell, index)
        return self.reply

    def _heard(self, execute_reply: dict[str, Any], **_: Any) -> None:
        self.reply = execute_reply["content"]

    def _send(self, code: str, **more: Any) -> str:
        return self._execute(code, **{"user_expressions": self.expressions, **more})

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> None:
        """Take one message of a running cell: an output, or the news that the cell is done.

        Widgets' messages and updates of earlier outputs change nothing.
        """
        kind, content = msg["msg_type"], msg["content"]
        if kind == "status" and content["execution_state"] == "idle":
            raise CellExecutionComplete
        if kind == "execute_input" and content["execution_count"] in range(MAX_VALUES):
            cell.execution_count = int(content["execution_count"])
        elif kind == "clear_output":
            cell.outputs.clear()
        elif self.room > 0 and (output := rebuild(kind, content)) is not None:
            self._keep(cell.outputs, output)

    def _keep(self, outputs: list[NotebookNode], output: NotebookNode) -> None:
        size = len(json.dumps(output))
        cost = max(size, MAX_SHOWN // MAX_OUTPUTS if output.output_type != "stream" else 0)
        self.room, self.room_in_all = self.room - cost, self.room_in_all - cost
        if self.room <= 0:
            outputs.append(_output("stream", name="stderr", text="… the rest of this cell's output is left out"))
        elif outputs and output.output_type == "stream" and outputs[-1].get("name") == output.name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)


class _Channel(AsyncZMQSocketChannel):
    """A channel that stops reading when the time is up: nbclient reads on for as long as messages arrive."""

    async def get_msg(  # type: ignore[override]  # as AsyncZMQSocketChannel has it
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        if timeout is not None and timeout <= 0:
            raise Empty
        return await super().get_msg(timeout)


def rebuild(kind: str, content: dict[str, Any]) -> NotebookNode | None:
    """An output made anew from what a message holds, or None where the message is no output."""
    match kind, content:
        case "stream", {"name": "stdout" | "stderr" as name, "text": str(text)}:
            return _output(kind, name=name, text=sendable(text))
        case "error", {"ename": str(name), "evalue": str(value), "traceback": list(lines)}:
            shown = [sendable(line) for line in lines if isinstance(line, str)]
            return _output(kind, ename=sendable(name), evalue=sendable(value), traceback=shown)
        case "display_data" | "execute_result", {"data": dict(data)} if kept := _plain(data):
            number = {"execution_count": None} if kind == "execute_result" else {}
            return _output(kind, data=NotebookNode(kept), metadata=NotebookNode(), **number)
    return None


def _output(kind: str, **fields: Any) -> NotebookNode:
    """nbformat's new_output without its validation: it takes long, and what is made here is valid."""
    return NotebookNode(output_type=kind, **fields)


def _plain(data: dict[str, Any]) -> dict[str, str]:
    """Text and pictures of a display: HTML, LaTeX and JavaScript could act on whoever looks at the feedback.

    So could an SVG that stands in a page; in an <img> nothing of it runs, and nothing is loaded.
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


def _limit(context: Any, size: int) -> None:
    """Limit the size of a message, and how many may wait, for the sockets that this context makes from now on."""
    context.setsockopt(zmq.MAXMSGSIZE, size)
    context.setsockopt(zmq.RCVHWM, MAX_QUEUE)


def _resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm") as statistics:
        return int(statistics.read().split()[1]) * resource.getpagesize()
