"""A Jupyter kernel provisioner whose kernels are sandboxed forks: any Jupyter tool that starts kernels can use it.

Name it in a kernelspec (kernel.json): `"metadata": {"kernel_provisioner": {"provisioner_name": "autograde-sandbox"}}`,
or for every kernel of a program: `JUPYTER_DEFAULT_PROVISIONER_NAME=autograde-sandbox jupyter execute notebook.ipynb`.
The kernel is this Python's IPython whatever command the kernelspec names, and works on a copy of its folder's files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import tarfile
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerBase
from traitlets import Integer

from autograde.sandbox.confine import Caps
from autograde.sandbox.forkserver import fork_server
from autograde.sandbox.kernel import PORTS
from autograde.sandbox.view import refusal

MAX_FOLDER = 64 * 2**20  # bytes of files that a kernel is given
_DEFAULT = Caps()


class SandboxProvisioner(KernelProvisionerBase):
    """Starts a kernel in a fork of this process's fork server, and knows when and why it ended."""

    memory = Integer(_DEFAULT.memory, help="MiB for one process, and for all of a kernel's together").tag(config=True)
    processes = Integer(_DEFAULT.processes, help="processes and threads of one kernel").tag(config=True)
    scratch = Integer(_DEFAULT.scratch, help="MiB of files that a kernel may write").tag(config=True)

    reason = ""  # why the kernel was killed, if it was, for having taken too much

    _connection: socket.socket | None = None
    _status: int | None = None  # exit status; None while the kernel runs
    _folder: Path | None = None  # holds the sockets' names, out of the kernel's sight

    @property
    def has_process(self) -> bool:
        return self._connection is not None and self._status is None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose sockets in a private folder: the sandbox has no network that TCP could use."""
        manager = cast(KernelManager, self.parent)
        if self._folder is None:
            self._folder = Path(
                tempfile.mkdtemp(prefix=f"ag-{os.getpid()}-", dir="/tmp")
            )  # a socket's path has to be short
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
        connection = await asyncio.to_thread(fork_server().connect)
        caps = Caps(memory=self.memory, processes=self.processes, scratch=self.scratch)
        facts = {**self.connection_info, "key": cast(bytes, self.connection_info["key"]).decode()}
        request = json.dumps({"caps": asdict(caps), "connection": facts}).encode()
        listeners = [_listen(f"{self.connection_info['ip']}-{port}") for port in PORTS.values()]
        with _archive(Path(kwargs.get("cwd") or os.getcwd())) as files:
            descriptors = [files.fileno(), *(listener.fileno() for listener in listeners)]
            socket.send_fds(connection, [request], descriptors)
        for listener in listeners:
            listener.close()
        connection.setblocking(False)
        answer = json.loads(await asyncio.get_running_loop().sock_recv(connection, 65536) or b"{}")
        if "started" not in answer:
            connection.close()
            raise refusal(answer.get("failed", "a fork ended before it was shut in"))
        self._connection, self._status, self.reason = connection, None, ""
        return self.connection_info

    async def poll(self) -> int | None:
        if self._connection is None:
            return 0
        if self._status is None:
            try:
                heard = self._connection.recv(65536)
            except BlockingIOError:
                return None
            last = json.loads(heard) if heard else {}  # nothing: the keeper itself was killed
            self._status, self.reason = last.get("ended", -signal.SIGKILL), last.get("reason", "")
        return self._status

    async def wait(self) -> int | None:
        while (status := await self.poll()) is None:
            await asyncio.sleep(0.005)
        return status

    async def send_signal(self, signum: int) -> None:
        if self._connection is not None and await self.poll() is None:
            self._connection.send(json.dumps({"signal": int(signum)}).encode())

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and everything it started, and wait until they are gone."""
        await self.send_signal(signal.SIGKILL)
        await self.wait()

    async def terminate(self, restart: bool = False) -> None:
        """Like `kill`: the first process of a namespace does not heed SIGTERM."""
        await self.kill(restart)

    async def cleanup(self, restart: bool = False) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._folder is not None and not restart:
            shutil.rmtree(self._folder)
            self._folder = None


def _listen(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    return listener


def _archive(folder: Path) -> Any:
    """The regular files of `folder` as a tar file in memory, the smaller first; what would exceed the cap stays out."""
    names = sorted((path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()), key=_size)
    file = os.fdopen(os.memfd_create("files"), "w+b")
    left = MAX_FOLDER
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            left -= _size(name)
            if left < 0:
                logging.getLogger(__name__).warning("%s: too large to be given to a sandboxed kernel", name)
                break
            archive.add(name, arcname=str(name.relative_to(folder)), recursive=False)
    file.seek(0)
    return file


def _size(path: Path) -> int:
    return path.lstat().st_size
