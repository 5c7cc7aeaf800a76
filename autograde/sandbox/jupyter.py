"""A kernel for Jupyter's own tools, on sockets that were made for it outside: it needs no address and no shared folder.

It runs in a process that `autograde.sandbox.confine` has shut in; everything it knows comes with the request for it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import zmq
from ipykernel.heartbeat import Heartbeat
from ipykernel.kernelapp import IPKernelApp
from traitlets import Dict

from autograde.sandbox.confine import SCRATCH

PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4, "control_port": 5}


class HandedSockets(IPKernelApp):
    """IPKernelApp that listens on given file descriptors instead of opening sockets."""

    listeners: Any = Dict(help="file descriptor of a listening socket, by port")

    def _try_bind_socket(self, s: Any, port: int) -> int:
        s.use_fd = self.listeners[port]
        bound: int = super()._try_bind_socket(s, port)
        return bound

    def init_control(self, context: Any) -> None:
        super().init_control(context)
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


def make_kernel(connection: dict[str, Any], listeners: Sequence[int]) -> HandedSockets:
    """A kernel that `start` runs until it is told to shut down.

    `connection` is what Jupyter writes into a connection file; `listeners` are listening sockets in the order of PORTS.
    """
    path = f"{SCRATCH}/connection.json"
    with open(path, "w") as file:
        json.dump(connection, file)
    by_port = dict(zip(PORTS.values(), listeners, strict=True))
    app = HandedSockets.instance(listeners=by_port, connection_file=path)
    app.initialize(["--HistoryManager.enabled=False", f"--log-level={logging.CRITICAL}"])
    return app
