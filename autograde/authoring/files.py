"""Files that are written whole, and notebooks that are read or named."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.errors import AutogradeError


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of the course's own.

    Raises:
        AutogradeError: it is none that can be read. OSError: the file may not be opened.
    """
    try:
        return nbformat.read(path, as_version=4)
    except OSError:
        raise
    except Exception as error:  # nbformat raises what it likes on data that is no notebook
        name, reason = f"{path.parent.name}/{path.name}", str(error).partition("\n")[0][:100]
        raise AutogradeError(f"{name} is no notebook that can be read ({reason}): put its last version back") from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens on the way and whoever else does, it is the old one or a whole new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name[:100]}.{os.getpid()}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)  # a full disk is said without it
        raise


def _umask() -> int:
    """The mode that new files go without, read without setting it: other threads may write meanwhile."""
    with open("/proc/self/status") as status:
        found = re.search(r"^Umask:\s+(\d+)", status.read(), re.MULTILINE)
    return int(found[1], 8) if found else 0o077
