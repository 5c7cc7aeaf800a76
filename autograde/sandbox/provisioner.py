"""A Jupyter kernel provisioner whose kernels are sandboxed forks: any Jupyter tool that starts kernels can use it.

Name it in a kernelspec (kernel.json): `"metadata": {"kernel_provisioner": {"provisioner_name": "autograde-sandbox"}}`,
or for every kernel of a program: `JUPYTER_DEFAULT_PROVISIONER_NAME=autograde-sandbox jupyter execute notebook.ipynb`.
The kernel is this Python's IPython whatever command the kernelspec names, and works on a copy of its folder's files.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerBase
from traitlets import Integer

from autograde.sandbox.confine import Caps
from autograde.sandbox.jupyter import PORTS
from autograde.sandbox.process import Confined

_DEFAULT = Caps()


class SandboxProvisioner(KernelProvisionerBase):
    """Starts a kernel in a fork of this process's fork server, and knows when and why it ended."""

    memory = Integer(_DEFAULT.memory, help="MiB for one process, and for all of a kernel's together").tag(config=True)
    processes = Integer(_DEFAULT.processes, help="processes and threads of one kernel").tag(config=True)
    scratch = Integer(_DEFAULT.scratch, help="MiB of files that a kernel may write").tag(config=True)

    confined: Confined | None = None
    _folder: Path | None = None  # holds the sockets' names, out of the kernel's sight

    @property
    def has_process(self) -> bool:
        return self.confined is not None and self.confined.poll() is None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose sockets in a private folder: the sandbox has no network that TCP could use."""
        manager = cast(KernelManager, self.parent)
        if self._folder is None:
            # in /tmp, because a socket's path has to be short
            self._folder = Path(tempfile.mkdtemp(prefix=f"ag-{os.getpid()}-", dir="/tmp"))
            manager.transport, manager.ip = "ipc", str(self._folder / "k")
            manager.connection_file = str(self._folder / "connection.json")
            for name, port in PORTS.items():
                setattr(manager, name, port)
            manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        return await super().pre_launch(cmd=[], **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Ask for a fork, and wait until it has shut itself in.

        Raises:
            SandboxError: this machine cannot sandbox.
        """
        folder = Path(kwargs.get("cwd") or os.getcwd())
        caps = Caps(memory=self.memory, processes=self.processes, scratch=self.scratch)
        facts = {**self.connection_info, "key": cast(bytes, self.connection_info["key"]).decode()}
        listeners = [_listen(f"{self.connection_info['ip']}-{port}") for port in PORTS.values()]
        numbers = [listener.fileno() for listener in listeners]
        try:
            self.confined = await asyncio.to_thread(Confined, folder, caps, numbers, jupyter=facts)
        finally:
            for listener in listeners:
                listener.close()
        return self.connection_info

    async def poll(self) -> int | None:
        return 0 if self.confined is None else self.confined.poll()

    async def wait(self) -> int | None:
        while (status := await self.poll()) is None:
            await asyncio.sleep(0.005)
        return status

    async def send_signal(self, signum: int) -> None:
        if self.confined is not None:
            self.confined.signal(signum)

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and everything it started, and wait until they are gone."""
        await self.send_signal(signal.SIGKILL)
        await self.wait()

    async def terminate(self, restart: bool = False) -> None:
        """Like `kill`: the first process of a namespace ignores SIGTERM."""
        await self.kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        if self.confined is not None:
            self.confined.close()
            self.confined = None
        if self._folder is not None and not restart:
            shutil.rmtree(self._folder)
            self._folder = None


def _listen(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    return listener
