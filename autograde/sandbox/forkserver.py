"""A process that has imported what notebooks import, and hands every submission a fork of itself.

`ForkServer` is the grader's end: it starts the process in the view (`autograde.sandbox.view`) and asks it for kernels.
`serve` is the other end. It has imported, and made one kernel that has run nothing: no thread, no CUDA, nothing of
any submission, so that every submission gets what every other one gets. A request is read by the fork that serves it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import inspect
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from autograde.sandbox import view

# What chapters import, and what a kernel imports on its way; a package that ends in .* comes with all its modules.
WARM = (
    "numpy", "torch", "vitlib.*", "autograde.answers.outcomes",
    "matplotlib.pyplot", "matplotlib.backends.backend_agg", "IPython.core.pylabtools",  # figures
    "stack_data", "pygments.formatters.terminal256",  # tracebacks
    "ipykernel.debugger", "IPython.core.debugger", "IPython.core.completerlib", "tornado.platform.asyncio",
    "IPython.core.oinspect", "IPython.core.logger", "IPython.extensions.storemagic",
)  # fmt: skip
_PATIENCE = 600.0  # seconds for the imports, on a slow disk of a busy machine


class ForkServer:
    """Started when it is first needed; it dies with the process that started it, or with `close`.

    Forks of that process may use it too.
    """

    def __init__(self, warm: tuple[str, ...] = WARM):
        self.warm = warm
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._end = -1  # descriptor that tells the process's end, to forks as well: it is not their child

    def start(self) -> None:
        """Let it begin to import, without waiting for it.

        Raises:
            SandboxError: there is no bubblewrap.
        """
        if self._process is not None and not select.select([self._end], [], [], 0)[0]:
            return
        self.close()
        command = view.command(["-m", "autograde.sandbox.forkserver"])
        self._control, control = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # read where it does not get ready
        with control:
            self._process = subprocess.Popen(
                [*command, str(control.fileno()), *self.warm],
                pass_fds=[control.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
        self._end = os.pidfd_open(self._process.pid)

    def connect(self) -> socket.socket:
        """A connection to a new fork, which reads one request from it (see `autograde.sandbox.keeper`).

        Raises:
            SandboxError: this machine cannot sandbox.
        """
        with self._lock:
            self.start()
            if not self._ready:
                self._wait_until_ready()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
            return ours

    def close(self) -> None:
        if self._process is not None:
            self._control.close()
            self._log.close()
            os.close(self._end)
            self._process.wait()
            self._process, self._ready = None, False

    def _wait_until_ready(self) -> None:
        self._control.settimeout(_PATIENCE)
        try:
            answer = self._control.recv(5)
        except TimeoutError:
            raise view.refusal(f"what notebooks import was not imported within {_PATIENCE:g} seconds") from None
        if answer != b"ready":
            self._log.seek(0)
            words = self._log.read().decode(errors="replace").strip().splitlines()
            self.close()
            raise view.refusal(words[-1] if words else "the fork server did not start")
        self._ready = True


@functools.cache
def fork_server(warm: tuple[str, ...] = WARM) -> ForkServer:
    """This process's fork server for these imports."""
    server = ForkServer(warm)
    atexit.register(server.close)
    return server


def serve(control: socket.socket, warm: list[str]) -> None:
    """Import, then fork for every connection that comes through `control`, until its other end closes."""
    for name in warm:
        _import(name)
    from autograde.sandbox.keeper import keep
    from autograde.sandbox.pages import collapse
    from autograde.sandbox.piped import make_kernel

    kernel = make_kernel()  # 25 ms that no submission has to wait for
    if "torch" in sys.modules:
        sys.modules["torch"].backends.cpu.get_cpu_capability()  # reads /proc/cpuinfo, which the forks cannot
    inspect.getmodule(serve.__code__)  # fills a table of all modules' files; without it a first traceback takes 0.2 s
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        sys.exit(f"importing {', '.join(warm)} started {len(threads) - 1} threads; a fork would lose them")
    gc.collect()
    gc.freeze()  # collections in the forks leave these objects alone, and their memory shared
    collapse()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a keeper
    control.send(b"ready")
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 4, 1)
        if not descriptors:
            return
        connection = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            try:
                control.close()
                keep(connection, kernel)
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
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
