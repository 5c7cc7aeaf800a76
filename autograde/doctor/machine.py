"""What this machine lacks: to grade at all, for what the course is set to, or to test the book."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from autograde.doctor import Finding
from autograde.errors import AutogradeError

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_GIB = 2**30
_OLDEST = (3, 11)  # of Python


def packages() -> Iterator[Finding]:
    """What has to be there before a course can be looked at."""
    if sys.version_info[:2] < _OLDEST:  # where the package was not installed, but copied
        yield Finding(f"this is Python {sys.version.split()[0]}", "install Python 3.11 or newer, then make setup")
    needed = ("nbgrader", "nbclient", "ipykernel", "torch")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(f"{', '.join(missing)} cannot be imported", "make setup, or pip install -e '.[lab]'")


def sandbox(wanted: bool, *private: Path) -> Iterator[Finding]:
    """Bubblewrap and user namespaces, by trying them."""
    from autograde.sandbox import view

    if not wanted:
        yield Finding(
            "c.Limits.sandbox is off: learners' code runs with your rights",
            "take the line out of nbgrader_config.py, unless everybody who hands in is trusted",
            serious=False,
        )
        return
    try:
        view.check(*private)
    except AutogradeError as error:
        reason = str(error).splitlines()[0].partition(": ")[2] or str(error)
        yield Finding(f"learners' code cannot be sandboxed: {reason}", _sandbox_mend(reason))
    except Exception as error:  # it took too long, or could not be started at all
        yield Finding(f"the sandbox cannot be tried ({type(error).__name__})", "run autograde doctor again")


def _sandbox_mend(reason: str) -> str:
    if "not installed" in reason:
        return "sudo apt install bubblewrap"
    if "move the course" in reason:
        return "move the course's folder out of this Python's"
    return "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"


def writable(*places: Path) -> Iterator[Finding]:
    """Files and folders that the commands write, or make where they are not there yet, and may not."""
    from autograde.course.file_errors import refused, require_writable

    closed: list[Path] = []
    for place in places:
        try:
            require_writable(place)
        except OSError as error:
            found = Path(str(error.filename))
            if not any(found.is_relative_to(outer) for outer in closed):  # one line for all that is in a folder
                closed.append(found)
                what, _, fix = refused(error).rpartition(": ")
                yield Finding(what, fix)


def storage(database: str, *folders: Path) -> Iterator[Finding]:
    """Room on the disks, and a gradebook that can be opened."""
    seen = set()
    for folder in folders:
        place = next(path for path in (folder, *folder.parents) if path.exists())
        if (disk := place.stat().st_dev) in seen:
            continue
        seen.add(disk)
        free = shutil.disk_usage(place).free
        if free < 2 * _GIB:
            yield Finding(f"{free / _GIB:.1f} GiB are free where {place} is", "make room", serious=free < _GIB / 2)
    if database.startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
        yield Finding("the gradebook is on PostgreSQL, and psycopg is missing", "pip install 'psycopg[binary]'")
    path = Path(database.removeprefix("sqlite:///"))
    if database.startswith("sqlite:///") and path.is_file():
        yield from _sqlite(path)


def _sqlite(path: Path) -> Iterator[Finding]:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        yield Finding(f"the gradebook cannot be opened: {error}", "close what has it open, or correct its permissions")
    except sqlite3.DatabaseError as error:
        yield Finding(f"the gradebook {path.name} is damaged: {error}", "put a backup of it in its place")
    else:
        if said != "ok":
            yield Finding(f"the gradebook {path.name} is damaged: {said}", "put a backup of it in its place")


def exchange(root: Path) -> Iterator[Finding]:
    if not root.is_dir():
        yield Finding(f"the exchange {root} is not there", f"mkdir -p {root} && chmod 777 {root}", serious=False)
    elif not os.access(root, os.W_OK | os.X_OK):
        yield Finding(f"the exchange {root} cannot be written to", f"chmod 777 {root}")


def extensions() -> Iterator[Finding]:
    """nbgrader's parts of JupyterLab."""
    try:
        from jupyter_core.paths import jupyter_config_path, jupyter_path
        from jupyter_server.extension.config import ExtensionConfigManager
    except ImportError:
        yield Finding("JupyterLab is not installed: no formgrader, no assignment list", "make setup", serious=False)
        return
    on = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
    off = [name for name in _SERVER_PARTS if not on.get(f"nbgrader.server_extensions.{name}")]
    if off:
        names = " ".join(f"nbgrader.server_extensions.{name}" for name in off)
        yield Finding(f"JupyterLab's server leaves out {', '.join(off)}", f"jupyter server extension enable {names}")
    if not any(Path(place, "labextensions", "@jupyter", "nbgrader").is_dir() for place in jupyter_path()):
        yield Finding("JupyterLab has no menu Nbgrader", "pip install -c constraints.txt --force-reinstall nbgrader")


_SERVER_PARTS = ("formgrader", "validate_assignment", "assignment_list", "course_list")


def for_tests() -> Iterator[Finding]:
    """What only `make test` needs."""
    if not any(map(shutil.which, _CHROMIUM)):
        yield Finding("Chromium is missing, which make test needs", "sudo apt install chromium", serious=False)
    if shutil.which("pg_ctl") is None and not any(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")):
        yield Finding("PostgreSQL is missing, which make test needs", "sudo apt install postgresql", serious=False)
