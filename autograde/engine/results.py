"""Results that are kept between runs, and temporary folders: files are written whole, and leftovers are removed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import reads_json

from autograde.authoring.files import write_whole

_KEPT = 90 * 24 * 3600.0  # seconds that a result is kept after it was last asked for
_STALE = 3600.0  # seconds after which a half-written file is left over
_FOLDER = re.compile(r"(?:ag|autograde(?:-([0-9a-f]{8}))?)-(\d+)-\w+")  # our temporary folders: where, and process id


@dataclass(frozen=True)
class Results:
    """Finished jobs on disk, by fingerprint."""

    folder: Path

    def get(self, fingerprint: str) -> NotebookNode | None:
        """The graded notebook of a job; None where it is not there, or damaged."""
        path = self._path(fingerprint)
        try:
            notebook: NotebookNode = reads_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, or damaged: it is done again
            return None
        with contextlib.suppress(OSError):  # another run may have taken it away
            os.utime(path)
        return notebook

    def put(self, fingerprint: str, graded: bytes) -> None:
        """Keep a result; it is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(fingerprint), graded)

    def sweep(self) -> None:
        """Remove what killed runs left half written, here and among the temporary files; and results long unused."""
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            with contextlib.suppress(OSError):  # another run may have taken it away
                age = time.time() - path.stat().st_mtime
                writer = re.search(r"\.(\d+)-\w+\.part$", path.name)
                if (writer and not _runs(int(writer[1]))) or age > (_STALE if path.suffix == ".part" else _KEPT):
                    path.unlink()
        for path in Path(tempfile.gettempdir()).glob("a*"):
            found = _FOLDER.fullmatch(path.name)
            with contextlib.suppress(OSError):
                facts = path.lstat()
                known = found and (found[1] == _here() or time.time() - facts.st_mtime > _STALE)
                if found and known and facts.st_uid == os.geteuid() and not _runs(int(found[2])):
                    shutil.rmtree(path, ignore_errors=True)

    def _path(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint}.ipynb"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that a later run removes, should this one be killed."""
    prefix = f"autograde-{_here()}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        yield Path(name)


@cache
def _here() -> str:
    """Where process ids mean what they say: in this container, since this machine was started.

    Another machine, or another container, may share the folder of temporary files.
    """
    started = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256(f"{started} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:8]


def _runs(process: int) -> bool:
    """Whether there is such a process on this machine; another's counts too."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
