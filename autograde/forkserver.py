"""A process that has imported what notebooks import, and hands every submission a fork of itself.

`ForkServer` is the grader's end: it starts the process inside `autograde.sandbox`'s view and asks it for kernels.
`serve` is the other end. It runs nothing but imports: no thread, no CUDA, nothing of any submission, so that what one
submission gets is what every other one gets. A request is read by the fork that serves it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from autograde import sandbox

# What chapters and kernels import. A package that ends in .* comes with all its modules.
WARM = ("numpy", "torch", "matplotlib.pyplot", "matplotlib_inline.backend_inline", "autograde.outcomes", "vitlib.*")
_PATIENCE = 120.0  # seconds for the imports, on a slow disk


class ForkServer:
    """Started when it is first asked for a connection; it dies with this process, or with `close`."""

    def __init__(self, warm: tuple[str, ...] = WARM):
        self.warm = warm
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def connect(self) -> socket.socket:
        """A connection to a new fork, which reads one request from it (see `autograde.keeper`).

        Raises:
            SandboxError: this machine cannot sandbox.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(str(self._folder / "door"))
        return connection

    def close(self) -> None:
        if self._process is not None:
            self._life.close()
            self._process.wait()
            self._process = None
            shutil.rmtree(self._folder)

    def _start(self) -> None:
        self.close()
        command = sandbox.command(["-m", "autograde.forkserver"])
        self._folder = Path(tempfile.mkdtemp(prefix="ag-", dir="/tmp"))  # a socket's path has to be short
        self._life, life = socket.socketpair()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door, life:
            door.bind(str(self._folder / "door"))
            door.listen(64)
            ends = (door.fileno(), life.fileno())
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [*command, *map(str, ends), *self.warm],
                    pass_fds=ends,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        self._life.settimeout(_PATIENCE)
        if self._life.recv(5) != b"ready":
            words = (self._folder / "log").read_text(errors="replace").strip().splitlines()
            self.close()
            raise sandbox.SandboxError(words[-1] if words else "the fork server did not start")


@functools.cache
def fork_server(warm: tuple[str, ...] = WARM) -> ForkServer:
    """This process's fork server for these imports."""
    return ForkServer(warm)


def serve(door: socket.socket, life: socket.socket, warm: list[str]) -> None:
    """Import, then fork at every connection, until the grader's end of `life` closes."""
    for name in warm:
        _import(name)
    from autograde.keeper import keep

    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        sys.exit(f"importing {', '.join(warm)} started {len(threads) - 1} threads; a fork would lose them")
    gc.collect()
    gc.freeze()  # collections in the forks leave these objects alone, and their memory shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a keeper
    life.send(b"ready")
    while True:
        ready, _, _ = select.select([door, life], [], [])
        if life in ready:
            return
        connection, _ = door.accept()
        if os.fork() == 0:
            try:
                door.close()
                life.close()
                keep(connection)
            finally:
                os._exit(0)
        connection.close()


def _import(name: str) -> None:
    """Import a module or, where it ends in .*, a package and all that is in it. What is not installed is left out."""
    with contextlib.suppress(ImportError):
        module = importlib.import_module(name.removesuffix(".*"))
        if name.endswith(".*"):
            for found in pkgutil.walk_packages(module.__path__, f"{module.__name__}."):
                _import(found.name)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])), sys.argv[3:])
