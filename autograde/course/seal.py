"""What was released, sealed: grading reads it here, never in chapters/, where learners work.

A sealed notebook is the one whose cells nbgrader keeps in its gradebook: without solutions, with hidden tests.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.answers.sheet import FILE_NAME
from autograde.authoring.files import write_whole
from autograde.course.settings import CourseError


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

    @property
    def variants_of(self) -> str:
        """The course's id, where every student has numbers of their own; empty elsewhere.

        Raises:
            CourseError: the seal is damaged.
        """
        try:
            return str(json.loads(self.sheet or b"{}").get("course", ""))
        except (ValueError, AttributeError):
            raise self.damaged from None

    @property
    def titles(self) -> dict[str, str]:
        """The exercises' titles, by id; none for a chapter without a key.

        Raises:
            CourseError: the seal is damaged.
        """
        try:
            exercises = json.loads(self.sheet or b"{}").get("exercises", {})
            return {name: str(exercise["title"]) for name, exercise in exercises.items()}
        except (ValueError, AttributeError, TypeError, KeyError):
            raise self.damaged from None

    @property
    def damaged(self) -> CourseError:
        """What to say of a file in it that cannot be read."""
        name = self.folder.name
        return CourseError(f"the sealed release of {name} is damaged: run `autograde release {name}`")

    def keep(self, name: str, notebook: NotebookNode, source: Path, ignored: Iterable[str]) -> None:
        """Seal a notebook and the files beside its source; notebooks that have no source any more go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix != ".ipynb" or not (source / path.name).is_file():
                path.unlink()
        leave_out = shutil.ignore_patterns(*ignored, "*.ipynb")
        shutil.copytree(source, self.folder, ignore=leave_out, dirs_exist_ok=True)
        for folder in (self.folder, *self.folder.glob("**/")):  # the source may be read-only
            folder.chmod(folder.stat().st_mode | 0o700)
        self._path(name).write_text(nbformat.writes(_with_ids(notebook)), encoding="utf-8")

    def keep_hashes(self, released: Path) -> None:
        """Remember what learners got."""
        write_whole(self._hashes, (json.dumps(_hashes(released), indent=1, sort_keys=True) + "\n").encode())

    def changed(self, released: Path) -> list[str]:
        """The files of the release that somebody changed or removed since; none where nobody knows.

        Raises:
            CourseError: the seal is damaged.
        """
        try:
            known = dict[str, str](json.loads(self._hashes.read_text(encoding="utf-8")).items())
        except FileNotFoundError:
            return []
        except (ValueError, AttributeError):
            raise self.damaged from None
        now = _hashes(released)
        return [name for name, digest in known.items() if now.get(name) != digest]

    @property
    def _hashes(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.ipynb"


def _hashes(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _with_ids(notebook: NotebookNode) -> NotebookNode:
    """The notebook with an id for every cell that has none, as in older formats; the same ids at every release."""
    notebook = copy.deepcopy(notebook)
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{number}")
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)
    return notebook
