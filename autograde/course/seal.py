"""What was released, sealed: grading reads it here, never in chapters/, where learners work.

A sealed notebook is the one whose cells nbgrader keeps in its gradebook: without solutions, with hidden tests.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autograde.answers.sheet import FILE_NAME
from autograde.course.settings import CourseError

_FILES = "released.json"  # the files that learners got, with their hashes


@dataclass(frozen=True)
class Seal:
    """One chapter's sealed release."""

    folder: Path

    @property
    def notebooks(self) -> list[str]:
        """The names of its notebooks, without the ending.

        Raises:
            CourseError: the chapter has not been released.
        """
        names = sorted(path.stem for path in self.folder.glob("*.ipynb"))
        if not names:
            raise CourseError(f"{self.folder.name} is not released: run `autograde release {self.folder.name}` first")
        return names

    def notebook(self, name: str) -> bytes:
        """A sealed notebook.

        Raises:
            CourseError: the chapter has not been released, or has no such notebook.
        """
        if name not in self.notebooks:
            raise CourseError(f"{self.folder.name} was released without {name}.ipynb: release it again")
        return self._path(name).read_bytes()

    @property
    def sheet(self) -> bytes:
        """exercises.json as it was released; empty for a chapter without a key."""
        path = self.folder / FILE_NAME
        return path.read_bytes() if path.is_file() else b""

    def keep(self, name: str, notebook: bytes, source: Path) -> None:
        """Seal a notebook and the sheet beside its source; notebooks that have no source any more go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob("*.ipynb"):
            if not (source / path.name).is_file():
                path.unlink()
        (self.folder / FILE_NAME).unlink(missing_ok=True)
        if (source / FILE_NAME).is_file():
            shutil.copyfile(source / FILE_NAME, self.folder / FILE_NAME)
        self._path(name).write_bytes(notebook)

    def keep_hashes(self, released: Path) -> None:
        """Remember what learners got."""
        text = json.dumps(_hashes(released), indent=1, sort_keys=True)
        (self.folder / _FILES).write_text(text + "\n", encoding="utf-8")

    def changed(self, released: Path) -> list[str]:
        """The files of the release that somebody changed or removed since."""
        path = self.folder / _FILES
        known: Mapping[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        now = _hashes(released)
        return [name for name, digest in known.items() if now.get(name) != digest]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.ipynb"


def _hashes(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
