"""The system calls that a learner's process goes without: what namespaces and limits leave open.

- Sockets of unusual families: a network namespace has no say over AF_VSOCK, which leads out of a virtual machine.
- io_uring, which opens sockets behind this filter's back.
- Memory that no limit counts: memfd files, System V segments, pages put into pipes, larger buffers of sockets, and
  shared memory without a file, which is held even where no process has it in its tables.
- Keyrings, which are shared with whoever started the grader; bpf, perf, userfaultfd and ptrace, which have had holes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class _Machine:
    audit: int  # AUDIT_ARCH_…, from linux/audit.h
    socket: int  # number of the system call, from asm/unistd.h
    mmap: int  # likewise
    setsockopt: int  # likewise
    denied: tuple[int, ...]  # in the order of _NAMES


_NAMES = (
    "io_uring_setup", "memfd_create", "memfd_secret", "shmget", "msgget", "semget", "keyctl", "add_key", "request_key",
    "bpf", "perf_event_open", "userfaultfd", "ptrace", "vmsplice",
)  # fmt: skip
_DENIED = {
    "x86_64": (425, 319, 447, 29, 68, 64, 250, 248, 249, 321, 298, 323, 101, 278),
    "aarch64": (425, 279, 447, 194, 186, 190, 219, 217, 218, 280, 241, 282, 117, 75),
}
_MACHINES = {
    "x86_64": _Machine(0xC000003E, 41, 9, 54, _DENIED["x86_64"]),
    "aarch64": _Machine(0xC00000B7, 198, 222, 208, _DENIED["aarch64"]),
}
_X32 = 0x40000000  # x86_64 only: the bit of a second table of system calls, which this filter would not recognise

# classic BPF, from linux/bpf_common.h and linux/seccomp.h
_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT, _FOURTH_ARGUMENT = 16, 24, 32, 40
_MAP_SHARED, _MAP_TYPE, _MAP_ANONYMOUS = 0x01, 0x0F, 0x20


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def program(machine: str) -> bytes:
    """The filter as BPF instructions.

    Raises:
        KeyError: no table of system calls for this machine.
    """
    table = _MACHINES[machine]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, table.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_GREATER_EQUAL, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for number in table.denied:
        steps += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    steps += [
        (_JUMP_EQUAL, 0, 5, table.mmap),
        (_LOAD, 0, 0, _FOURTH_ARGUMENT),
        (_AND, 0, 0, _MAP_TYPE | _MAP_ANONYMOUS),
        (_JUMP_EQUAL, 0, 1, _MAP_SHARED | _MAP_ANONYMOUS),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_JUMP_EQUAL, 0, 7, table.setsockopt),
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_JUMP_EQUAL, 0, 4, socket.SOL_SOCKET),
        (_LOAD, 0, 0, _THIRD_ARGUMENT),
        (_JUMP_EQUAL, 1, 0, socket.SO_SNDBUF),
        (_JUMP_EQUAL, 0, 1, socket.SO_RCVBUF),
        (_RETURN, 0, 0, _ERRNO),  # no error: the call is a request that a system may ignore
        (_RETURN, 0, 0, _ALLOW),
        (_JUMP_EQUAL, 1, 0, table.socket),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
    ]
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
        steps += [(_JUMP_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def install(prctl: ctypes._NamedFuncPointer) -> None:
    """Filter this process's system calls, and those of all its children, for good.

    Raises:
        OSError: the system refused.
    """
    code = program(os.uname().machine)
    set_seccomp, mode_filter = 22, 2
    if prctl(set_seccomp, mode_filter, ctypes.byref(_Program(len(code) // 8, code)), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
