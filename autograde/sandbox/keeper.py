"""One submission's keeper: forks the process that becomes its kernel, watches over it, and ends it.

The keeper is a fork of the fork server, outside the kernel's namespaces, and runs none of a learner's code. It talks to
the grader over one connection: a request comes in, then signals to pass on; `{"started": true}` goes out, or
`{"failed": reason}`, and at the end `{"ended": status, "reason": text}`. When the connection closes, the kernel dies.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import select
import signal
import socket
import tarfile
from typing import Any

from autograde.sandbox import jupyter
from autograde.sandbox.confine import MAX_MESSAGE, SCRATCH, Caps, confine, enter_namespaces
from autograde.sandbox.piped import PipedKernel, open_statm

FOLDER = f"{SCRATCH}/notebook"  # the kernel's working folder
_INTERVAL = 0.2  # seconds between two measurements of the memory in use


def keep(connection: socket.socket, kernel: PipedKernel) -> None:
    """Serve the one request that `connection` brings, from start to end; `kernel` is there and has run nothing."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, descriptors, _, _ = socket.recv_fds(connection, MAX_MESSAGE, len(jupyter.PORTS) + 1)
    if not data:
        return
    request = json.loads(data)
    try:
        enter_namespaces()
    except OSError as error:
        _send(connection, failed=str(error))
        return
    process = os.fork()
    if process == 0:
        _become_kernel(connection, request, descriptors, kernel)
    for descriptor in descriptors:
        os.close(descriptor)
    status, reason = _watch(connection, process, Caps(**request["caps"]))
    _send(connection, ended=status, reason=reason)


def _become_kernel(
    connection: socket.socket, request: dict[str, Any], descriptors: list[int], kernel: PipedKernel
) -> None:
    status = 1
    try:
        _close_all_but(connection.fileno(), *descriptors)
        statm = open_statm()
        confine(Caps(**request["caps"]))
        _unpack(descriptors[0])
        if "jupyter" in request:
            kernel.shell.clear_instance()
            kernel.clear_instance()
            start = jupyter.make_kernel(request["jupyter"], descriptors[1:]).start
        else:
            start = functools.partial(kernel.serve, socket.socket(fileno=descriptors[1]), statm)
        _send(connection, started=True)
        connection.close()
        start()
        status = 0
    except Exception as error:  # nothing of the learner's has run yet, or it runs no more
        _send(connection, failed=f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


def _close_all_but(*kept: int) -> None:
    """Close what the fork server had open; standard input and output lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def _unpack(archive: int) -> None:
    os.mkdir(FOLDER)
    os.chdir(FOLDER)
    with os.fdopen(archive, "rb") as file, tarfile.open(fileobj=file) as files:
        files.extractall(filter="data")


def _watch(connection: socket.socket, process: int, caps: Caps) -> tuple[int, str]:
    """Wait for the kernel's end, passing signals on; its exit status (negative: the signal), and why it was killed.

    Whatever happens here, the kernel does not outlive it.
    """
    reason = ""
    end = os.pidfd_open(process)
    try:
        while True:
            ready, _, _ = select.select([connection.fileno(), end], [], [], _INTERVAL)
            if end in ready:
                _, status = os.waitpid(process, 0)
                return os.waitstatus_to_exitcode(status), reason
            if connection.fileno() in ready:
                order = _receive(connection)
                _signal(end, json.loads(order)["signal"] if order else signal.SIGKILL)
            elif _memory_held(process, caps.memory * 2**20) > caps.memory * 2**20:
                reason = f"its processes held more than {caps.memory:,} MiB of memory together"
                _signal(end, signal.SIGKILL)
    finally:
        _signal(end, signal.SIGKILL)


def _signal(process_descriptor: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        signal.pidfd_send_signal(process_descriptor, number)


def _memory_held(process: int, enough: int) -> int:
    """Bytes of memory, not counting files, held by a process and all its descendants; roughly, where below `enough`."""
    parents: dict[int, int] = {}
    resident: dict[int, tuple[str, int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):  # it has just ended
                parents[int(name)] = _facts(f"/proc/{name}/status")["PPid"]
                resident[int(name)] = _resident(f"/proc/{name}")
    family = {process}
    while found := {child for child, parent in parents.items() if parent in family} - family:
        family |= found
    held = [resident[member] for member in family if member in resident]
    rough = sum(size for _, size in held)
    return rough if rough < enough else sum(_share(place, size) for place, size in held)


def _resident(place: str) -> tuple[str, int]:
    """Where in /proc a process shows the bytes of memory that it holds, and how many.

    One whose first thread has ended shows nothing, and still may hold much: its other threads show it.
    """
    for thread in (place, *(f"{place}/task/{name}" for name in os.listdir(f"{place}/task"))):
        with contextlib.suppress(OSError):  # it has just ended
            facts = _facts(f"{thread}/status")
            if "RssAnon" in facts:
                return thread, 1024 * (facts["RssAnon"] + facts["RssShmem"])
    return place, 0


def _share(place: str, resident: int) -> int:
    """Bytes held by a process, each page divided by the number of its holders: forks share what they only read."""
    try:
        facts = _facts(f"{place}/smaps_rollup")
    except PermissionError:  # it hides them
        return resident
    except OSError:  # it has just ended
        return 0
    return 1024 * (facts.get("Pss_Anon", 0) + facts.get("Pss_Shmem", 0))


def _facts(path: str) -> dict[str, int]:
    """The lines `Name: number …` of a file in /proc."""
    with open(path) as file:
        return {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", file.read(), re.MULTILINE)}


def _receive(connection: socket.socket) -> bytes:
    """The next message; empty once the grader is gone (a reset, where it left one of our messages unread)."""
    try:
        return connection.recv(MAX_MESSAGE)
    except ConnectionResetError:
        return b""


def _send(connection: socket.socket, **message: Any) -> None:
    try:
        connection.send(json.dumps(message).encode())
    except OSError:  # the grader is gone; so will we be
        return
