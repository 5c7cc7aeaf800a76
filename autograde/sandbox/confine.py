"""How a process confines itself, for good, before it runs a learner's code.

It starts inside the view (`autograde.sandbox.view`: a read-only system, and nothing of the course) and leaves even that
behind: it gets namespaces, a scratch folder and limits of its own, no capabilities, and fewer system calls.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import sys
from dataclasses import dataclass

from autograde.sandbox import seccomp

SCRATCH = "/scratch"  # the only place that a confined process can write to, with /dev/shm
SOCKET_BUFFER = 2**18  # bytes
MAX_MESSAGE = 65536  # bytes, between the grader and a kernel's keeper


@dataclass(frozen=True)
class Caps:
    """What one submission may use."""

    memory: int = 2048  # MiB that a process may take beyond what it starts with, and that all may hold together
    processes: int = 64  # processes and threads, all together
    scratch: int = 256  # MiB of files
    file: int = 64  # MiB of one file
    inodes: int = 10_000  # files and folders
    open_files: int = 256  # of one process


_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
_CLONE_NEWUTS, _CLONE_NEWIPC = 0x4000000, 0x8000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
_MS_BIND = 0x1000
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)


def _succeed(status: int, what: str) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_namespaces() -> None:
    """Enter new namespaces of users, processes, network and System V objects; the next child is process 1 in them.

    Raises:
        OSError: the system does not let this user make namespaces.
    """
    user, group = os.geteuid(), os.getegid()
    spaces = _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
    _succeed(_libc.unshare(spaces), "new namespaces")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    _write("/proc/sys/user/max_user_namespaces", "0")  # no user namespace below this one: there rights could come back
    _raise_loopback()
    for direction in ("rmem", "wmem"):  # least, default and most that a socket buffers
        _write(f"/proc/sys/net/ipv4/tcp_{direction}", f"4096 16384 {SOCKET_BUFFER}")


def _raise_loopback() -> None:
    """Let processes in this network namespace, and only they, reach each other at 127.0.0.1."""
    set_flags, up = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh22x", b"lo", up))


def confine(caps: Caps) -> None:
    """Confine this process. It must have a single thread, and be process 1 of its namespace.

    Raises:
        OSError: the system refused a step; the text names it. No code of a learner's may run then.
    """
    os.setsid()  # kill(0, …) reaches the whole process group, across namespaces
    _write("/proc/self/oom_score_adj", "1000")  # where memory runs out, this process is killed first
    held = _address_space()
    _own_mounts(caps)
    os.chdir(SCRATCH)
    mebibyte = 2**20
    for limit, value in (
        (resource.RLIMIT_AS, held + caps.memory * mebibyte),
        (resource.RLIMIT_NPROC, caps.processes),
        (resource.RLIMIT_FSIZE, caps.file * mebibyte),
        (resource.RLIMIT_NOFILE, caps.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    _drop_rights()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # die when the keeper dies
    seccomp.install(_libc.prctl)


def _own_mounts(caps: Caps) -> None:
    _succeed(_libc.unshare(_CLONE_NEWNS), "a mount namespace")
    _mount("", "/", "", _MS_REC | _MS_PRIVATE, "")
    safe = _MS_NOSUID | _MS_NODEV
    files = f"mode=0700,nr_inodes={caps.inodes},size={caps.scratch}m"
    _mount("scratch", SCRATCH, "tmpfs", safe, files)
    _mount("shm", "/dev/shm", "tmpfs", safe, files)
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0600,max=16")
    _mount("/dev/null", "/dev/zero", "", _MS_BIND, "")  # its shared mappings are memory that no limit counts
    _mount("nothing", "/proc", "tmpfs", safe | _MS_RDONLY, "size=4k")  # it would show the parent's processes


def _drop_rights() -> None:
    """Give up every capability, for this process and for whatever it starts."""
    last = 40  # CAP_CHECKPOINT_RESTORE; one that this system does not know is refused, and not held either
    for capability in range(last + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()
    _succeed(_libc.syscall(_SYS_CAPSET[os.uname().machine], version_3, none), "dropping capabilities")
    _succeed(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    texts = [text.encode() for text in (source, target, kind)]
    _succeed(_libc.mount(*texts, flags, options.encode()), f"mounting {kind or source or 'private'} on {target}")


def _address_space() -> int:
    """Bytes of address space that this process has."""
    with open("/proc/self/statm") as statistics:
        return int(statistics.read().split()[0]) * resource.getpagesize()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":  # a test of whether this machine can
    enter_namespaces()
    if os.fork() == 0:
        confine(Caps())
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
