"""A kernel's process as the grader sees it: to be signalled, ended, and asked why it has ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from autograde.sandbox.confine import MAX_MESSAGE, Caps
from autograde.sandbox.forkserver import fork_server
from autograde.sandbox.view import refusal

MAX_FOLDER = 64 * 2**20  # bytes of files that a kernel is given


class Process(Protocol):
    """A process that is one kernel; `fileno` can be read from once it has ended."""

    reason: str  # why it was killed, if it was, for having taken too much

    def fileno(self) -> int: ...

    def signal(self, number: int) -> None: ...

    def kill(self) -> None:
        """End it and everything it started, and wait until they are gone."""

    def close(self) -> None:
        """Let go of it, once it has ended."""


class Confined:
    """A fork of this process's fork server that has shut itself in, with a copy of a folder's files."""

    def __init__(self, folder: Path, caps: Caps, descriptors: list[int], **request: Any):
        """Ask for a fork, and wait until it has shut itself in. `request` and `descriptors` are for its kernel.

        Raises:
            SandboxError: this machine cannot sandbox.
        """
        self.status: int | None = None  # None while it runs
        self.reason = ""
        self._connection = fork_server().connect()
        with _archive(folder) as files:
            order = json.dumps({"caps": asdict(caps), **request}).encode()
            socket.send_fds(self._connection, [order], [files.fileno(), *descriptors])
        answer = json.loads(self._connection.recv(MAX_MESSAGE) or b"{}")
        if "started" not in answer:
            self._connection.close()
            raise refusal(answer.get("failed", "a fork ended before it was shut in"))

    def fileno(self) -> int:
        return self._connection.fileno()

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self.status is None and select.select([self], [], [], 0)[0]:
            self._end()
        return self.status

    def signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(BrokenPipeError):  # it has just ended
                self._connection.send(json.dumps({"signal": int(number)}).encode())

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.status is None:
            self._end()

    def close(self) -> None:
        self._connection.close()

    def _end(self) -> None:
        last = final_message(self._connection)
        self.status, self.reason = last.get("ended", -signal.SIGKILL), last.get("reason", "")


class Unconfined:
    """A process with all the grader's rights, where this machine cannot sandbox."""

    reason = ""

    def __init__(self, folder: Path, module: str, descriptor: int):
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(descriptor)],
            cwd=folder,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._end = os.pidfd_open(self._process.pid)

    def fileno(self) -> int:
        return self._end

    def signal(self, number: int) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        os.close(self._end)


def final_message(keeper: socket.socket) -> dict[str, Any]:
    """The keeper's message about its kernel's end; empty where the keeper was killed itself.

    Where it ended before it had read our last signal, the first read is refused with a reset, and the second succeeds.
    """
    try:
        received = keeper.recv(MAX_MESSAGE)
    except ConnectionResetError:
        received = keeper.recv(MAX_MESSAGE)
    return dict(json.loads(received)) if received else {}


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
