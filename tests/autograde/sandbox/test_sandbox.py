"""What a learner's process can see, reach and use: looked at from inside a real sandbox."""

import errno
import os
import socket
import subprocess
import sys
import textwrap
from ast import literal_eval
from pathlib import Path

import pytest

from autograde.sandbox import seccomp, view
from autograde.sandbox.confine import SCRATCH
from tests.autograde.conftest import ROOT
from tests.autograde.sandboxed import sandboxed


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    (folder / "exercises.json").write_text("{}")
    with sandboxed(folder) as kernel:
        yield kernel


def test_the_working_folder_holds_the_files_that_were_given(kernel):
    assert kernel.run("print(open('exercises.json').read())") == "{}"


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "solutions",
        ROOT / "chapters",
        ROOT / "gradebook",
        ROOT / "tests",
        ROOT / ".git",
        ROOT / "nbgrader_config.py",
        Path("/etc/passwd"),
        Path("/sys"),
        Path("/proc/self/environ"),
        *(path for path in map(Path, ("/var", "/home", "/run")) if not ROOT.is_relative_to(path)),
    ],
)
def test_nothing_but_the_system_and_the_packages_is_in_view(kernel, path):
    assert kernel.outcome(f"os.stat({str(path)!r})") == "FileNotFoundError"


def test_home_and_the_neighbours_are_out_of_view(kernel, tmp_path):
    (tmp_path / "01-toy.ipynb").write_text("a neighbour's answers")
    assert kernel.outcome(f"open({str(tmp_path / '01-toy.ipynb')!r})") == "FileNotFoundError"
    files = [str(entry) for entry in Path.home().iterdir() if entry.is_file()]
    assert kernel.outcome(f"[path for path in {files!r} if os.path.exists(path)]") == "[]"


@pytest.mark.parametrize(
    "folder",
    ["/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", sys.prefix, sys.base_prefix, str(ROOT), str(ROOT / "autograde")],
)
def test_the_system_cannot_be_written_to(kernel, folder):
    assert kernel.outcome(f"open({folder + '/left-behind'!r}, 'w')") == "OSError"
    assert not Path(folder, "left-behind").exists()


@pytest.mark.parametrize("folder", [SCRATCH, "/dev/shm", "."])
def test_scratch_can_be_written_to_and_is_not_the_machines(kernel, folder):
    assert kernel.outcome(f"open({folder + '/left-behind'!r}, 'w').write('x')") == "1"
    assert not Path(folder, "left-behind").exists()


def test_no_listener_of_this_machine_can_be_reached(kernel, tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        local.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0autograde-test-{os.getpid()}")
        for listener in (tcp, udp, local, abstract):
            listener.setblocking(False)
        local.listen()
        abstract.listen()
        assert kernel.outcome(f"socket.create_connection({tcp.getsockname()!r}, 1)") == "ConnectionRefusedError"
        kernel.outcome(f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', {udp.getsockname()!r})")
        for path in (local.getsockname(), abstract.getsockname()):
            assert "Error" in kernel.outcome(f"socket.socket(socket.AF_UNIX).connect({path!r})")
        for listener in (tcp, local, abstract):
            with pytest.raises(BlockingIOError):
                listener.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(1)


@pytest.mark.parametrize("address", [("1.1.1.1", 53), ("169.254.169.254", 80), ("10.0.0.1", 22)])
def test_there_is_no_network(kernel, address):
    assert kernel.outcome(f"socket.create_connection({address!r}, 1)") == "OSError"


@pytest.mark.parametrize("family", ["AF_VSOCK", "AF_ALG", "AF_PACKET", "AF_CAN", "AF_TIPC"])
def test_unusual_sockets_are_refused(kernel, family):
    assert kernel.outcome(f"socket.socket(socket.{family}, socket.SOCK_STREAM)") == "OSError"


def test_no_process_of_the_machine_can_be_seen_or_signalled(kernel):
    assert kernel.outcome("(os.getpid(), os.getppid(), os.listdir('/proc'))") == "(1, 0, [])"
    assert kernel.outcome(f"os.kill({os.getpid()}, 0)") == "ProcessLookupError"
    assert kernel.outcome("os.kill(-1, signal.SIGKILL)") == "ProcessLookupError"


def test_a_signal_to_its_process_group_stays_inside(kernel, tmp_path):
    with sandboxed(tmp_path) as neighbour:
        assert kernel.outcome("(os.killpg(0, signal.SIGKILL), os.kill(0, signal.SIGKILL))") == "(None, None)"
        assert kernel.run("print(6 * 7)") == neighbour.run("print(6 * 7)") == "42"


_NUMBERS = dict(zip(seccomp._NAMES, seccomp._MACHINES[os.uname().machine].denied, strict=True))


_CALLS = {
    "mount": "libc.mount(b'x', b'/scratch', b'tmpfs', 0, b'')",
    "umount": "libc.umount2(b'/proc', 2)",
    "a mount namespace": "libc.unshare(0x20000)",
    "setuid": "libc.setuid(0)",
    "chroot": "libc.chroot(b'/scratch')",
    "capabilities": "libc.prctl(47, 2, 21, 0, 0)",  # PR_CAP_AMBIENT_RAISE of CAP_SYS_ADMIN
    **{name: f"libc.syscall({number}, 0, 0, 0, 0)" for name, number in _NUMBERS.items()},
}


@pytest.mark.parametrize("what", _CALLS)
def test_it_has_no_rights(kernel, what):
    refused = {errno.EPERM, errno.EINVAL}  # EINVAL: no such user here
    status, number = literal_eval(kernel.outcome(f"({_CALLS[what]}, ctypes.get_errno())"))
    assert status == -1 and number in refused


def test_no_user_namespace_can_be_made_in_which_it_had_rights(kernel):
    code = """
    child = os.fork() or os._exit(libc.unshare(0x10000000) and ctypes.get_errno())  # one thread, as unshare wants it
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert kernel.run(textwrap.dedent(code)) == str(errno.ENOSPC)


def test_it_runs_as_nobody_in_particular(kernel):
    assert kernel.outcome("os.getuid() == 0 or os.geteuid() == 0") == "False"
    no_new_privileges = 39
    assert kernel.outcome(f"libc.prctl({no_new_privileges}, 0, 0, 0, 0)") == "1"


def test_one_file_is_capped(kernel):
    assert kernel.outcome("open('large', 'wb').write(bytes(65 * 2**20))") == "OSError"


@pytest.mark.parametrize("file", ["-1", "os.open('/dev/zero', os.O_RDWR)"])
def test_shared_memory_without_a_file_is_refused(kernel, file):
    """Its pages are held once they are written, and a call of `madvise` hides them from all counts."""
    kernel.run("import mmap")
    assert kernel.outcome(f"mmap.mmap({file}, 4096)") in ("PermissionError", "OSError")
    assert kernel.outcome("len(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))") == "4096"


def test_buffers_of_sockets_cannot_be_enlarged(kernel):
    kernel.run("one, other = socket.socketpair()")
    for name in ("SO_SNDBUF", "SO_RCVBUF"):
        before = kernel.outcome(f"one.getsockopt(socket.SOL_SOCKET, socket.{name})")
        assert kernel.outcome(f"one.setsockopt(socket.SOL_SOCKET, socket.{name}, 2**26)") == "None"
        assert kernel.outcome(f"one.getsockopt(socket.SOL_SOCKET, socket.{name})") == before
    assert kernel.outcome("one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)") == "None"


def test_terminals_are_few(kernel):
    """The machine has a limited number of them for all."""
    kernel.run("held = []")
    assert kernel.outcome("[held.append(os.openpty()) for _ in range(17)]") == "OSError"
    assert kernel.run("print(len(held))\nfor pair in held: os.closerange(pair[0], pair[1] + 1)") == "16"


def test_limits_cannot_be_raised(kernel):
    assert kernel.outcome("__import__('resource').setrlimit(6, (10**6, 10**6))") == "ValueError"


def test_the_environment_holds_no_secrets(monkeypatch):
    monkeypatch.setenv("GRADEBOOK_PASSWORD", "open sesame")
    command = view.command(["-c", "import os; print(*os.environ)"])
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.split()
    assert {"PATH", "HOME", "OMP_NUM_THREADS"} <= set(seen)
    assert "GRADEBOOK_PASSWORD" not in seen
