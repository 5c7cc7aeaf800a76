"""An IPython kernel on sockets that were made for it outside: it needs no address of its own, and no folder to share.

It runs in a process that `autograde.sandbox.confine` has shut in; everything it knows comes with the request for it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

import zmq
from ipykernel.heartbeat import Heartbeat
from ipykernel.iostream import OutStream
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from traitlets import Dict

from autograde.sandbox.confine import SCRATCH

PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4, "control_port": 5}


class OneShell(IPythonKernel):
    """IPythonKernel without subshells: nobody uses them here, and their thread passes on every message, both ways."""

    _supports_kernel_subshells = False


class _NoThread:
    """What ipykernel finds in place of that thread: there is none, and cells run in the main thread."""

    parent_thread = threading.main_thread()

    def __bool__(self) -> bool:
        return False


class HandedSockets(IPKernelApp):
    """IPKernelApp that listens on given file descriptors instead of opening sockets."""

    listeners: Any = Dict(help="file descriptor of a listening socket, by port")

    def _try_bind_socket(self, s: Any, port: int) -> int:
        s.use_fd = self.listeners[port]
        bound: int = super()._try_bind_socket(s, port)
        return bound

    def init_control(self, context: Any) -> None:
        super().init_control(context)
        self.shell_channel_thread = _NoThread()
        # The debugger's way back into the shell channel leads through the socket's path, which lies outside.
        self.debug_shell_socket.disconnect(self.shell_socket.getsockopt(zmq.LAST_ENDPOINT))

    def init_heartbeat(self) -> None:
        self.heartbeat = _HandedHeartbeat(zmq.Context(), (self.transport, self.ip, self.hb_port))
        self.heartbeat.listener = self.listeners[self.hb_port]
        self.heartbeat.start()


class _HandedHeartbeat(Heartbeat):
    listener: int

    def _try_bind_socket(self) -> Any:
        self.socket.use_fd = self.listener
        return super()._try_bind_socket()


class Stream(OutStream):
    """stdout or stderr. The kernel flushes both four times a cell; where nothing was written, that wakes no thread."""

    written = False

    def write(self, string: str) -> int | None:  # type: ignore[override]  # as OutStream has it
        self.written = True
        return super().write(string)

    def flush(self) -> None:
        if self.written:
            self.written = False
            super().flush()


def make_kernel(connection: dict[str, Any], listeners: Mapping[int, int]) -> HandedSockets:
    """A kernel that `start` runs until it is told to shut down.

    `connection` is what Jupyter writes into a connection file; `listeners` maps each port to a listening socket.
    """
    path = f"{SCRATCH}/connection.json"
    with open(path, "w") as file:
        json.dump(connection, file)
    app = HandedSockets.instance(listeners=listeners, connection_file=path, kernel_class=OneShell)
    stream = f"--IPKernelApp.outstream_class={__name__}.{Stream.__name__}"
    quick = ["--HistoryManager.enabled=False", "--InteractiveShell.xmode=Plain"]  # a coloured traceback takes 30 ms
    app.initialize([*quick, f"--log-level={logging.CRITICAL}", stream])
    return app
