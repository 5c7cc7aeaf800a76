"""What a learner's process may see: a read-only system, this Python and its packages. Nothing else of the machine.

bubblewrap builds that view once, for the fork server; every kernel that it forks shuts itself in further
(`autograde.sandbox.confine`). The course is not in the view: no solutions, keys, gradebook, submissions or home.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from autograde.errors import AutogradeError
from autograde.sandbox.confine import SCRATCH

NOBODY = 65534  # user and group that a root grader's kernels have: they own no file, and limits count for them
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
_PACKAGES = ("autograde", "vitlib")  # where they lie in a checkout, they alone are shown of it
_REMEDY = """\
This machine cannot run learners' code in a sandbox: {reason}.
- Install bubblewrap (Debian, Ubuntu: apt install bubblewrap) if it is missing.
- Let users make namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000, and on Ubuntu
  kernel.apparmor_restrict_unprivileged_userns=0; a container needs --privileged or an equal seccomp profile.
- Or grade with --no-sandbox: learners' code then runs with all your rights, and every graded notebook says so.\
"""


_SYSTEM_SAYS = re.compile(r"^(bubblewrap|bwrap|setpriv)\b|\[Errno \d+\]")  # no program's own fault


class SandboxError(AutogradeError):
    """No sandbox on this machine; the text says why, and how to proceed."""


def refusal(reason: str) -> SandboxError:
    """The error for a reason, with a remedy where the system refused."""
    reason = reason.strip().rstrip(".")
    if _SYSTEM_SAYS.search(reason):
        return SandboxError(_REMEDY.format(reason=reason))
    return SandboxError(f"No kernel starts in the sandbox: {reason}.")


def check(*private: Path) -> None:
    """Build the view and shut a process in, as a test.

    Raises:
        SandboxError: that fails, or a sandbox would show one of the `private` folders.
    """
    for path in private:
        for place in _shown():
            if path.resolve().is_relative_to(place.resolve()):
                raise refusal(f"{path} lies in {place}, which learners' code can read: move the course elsewhere")
    test = subprocess.run(command(["-m", "autograde.sandbox.confine"]), capture_output=True, text=True, timeout=60)
    if test.returncode:
        words = test.stderr.strip().splitlines()
        raise refusal(words[-1] if words else f"bubblewrap ended with status {test.returncode}")


def command(arguments: list[str]) -> list[str]:
    """The command line that runs this Python with `arguments` inside the view.

    Raises:
        SandboxError: there is no bubblewrap.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise refusal("bubblewrap (bwrap) is not installed")
    spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    become: list[str] = []
    if os.geteuid() == 0:  # root outside a user namespace is exempt from limits, and writes to /proc/sys
        spaces += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    else:
        spaces += ["--unshare-user", "--cap-drop", "ALL"]
    python = [sys.executable, "-s", "-B", *arguments]
    return [bwrap, *spaces, "--new-session", *_environment(), *_view(), "--chdir", SCRATCH, "--", *become, *python]


def _environment() -> list[str]:
    values = {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "PYTHONPATH": ":".join(dict.fromkeys(str(place.parent) for place in _package_places())),
        "LANG": "C.UTF-8",
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "USER": "learner",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger's warning about frozen modules
        "MALLOC_ARENA_MAX": "2",  # every further one of a thread takes 64 MiB of address space, which is capped
        "OMP_NUM_THREADS": "1",  # a fork that uses OpenMP's threads hangs; and one submission keeps to one core
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    return ["--clearenv", *(word for name, value in values.items() for word in ("--setenv", name, value))]


def _shown() -> list[Path]:
    """Every file and folder in the view, outer ones first."""
    shown = [Path(path) for path in (*_SYSTEM, *_SETTINGS, sys.base_prefix, sys.prefix)]
    shown += [Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    shown += _package_places()
    return sorted({path for path in shown if path.exists()}, key=lambda path: (len(path.parts), path))


def _view() -> list[str]:
    words: list[str] = []
    for path in _shown():
        for folder in reversed(path.parents[:-1]):
            words += ["--dir", str(folder)]
        if path.is_symlink() and path.parent == Path("/"):  # /bin → usr/bin
            words += ["--symlink", os.readlink(path), str(path)]
        else:
            words += ["--ro-bind", str(path), str(path)]
    if not any(path.is_relative_to("/tmp") for path in _shown()):  # this Python may be installed there
        words += ["--symlink", SCRATCH, "/tmp"]
    scratch = ["--perms", "1777", "--tmpfs", SCRATCH]
    return [*words, "--proc", "/proc", "--dev", "/dev", *scratch, "--remount-ro", "/dev", "--remount-ro", "/"]


def _package_places() -> list[Path]:
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]
    return [Path(spec.origin).parent for spec in specs if spec is not None and spec.origin is not None]
