"""The course on disk: nbgrader's own configuration and API, the chapters, and where everything lies."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.apps.api import NbGraderAPI
from sqlalchemy.exc import SAWarning
from traitlets.config import Config, PyFileConfigLoader

from autograde.answers.sheet import FILE_NAME, full_name, read_sheet
from autograde.authoring.key import Key, load_key, nearest
from autograde.course.people import whose_numbers
from autograde.course.who import Marked, is_student
from autograde.engine.execute import Limits
from autograde.engine.jobs import Job, Results
from autograde.engine.repair import MAX_BYTES
from autograde.errors import AutogradeError

CONFIG_FILE = "nbgrader_config.py"


class CourseError(AutogradeError):
    """Something about the course that its teacher can mend."""


@dataclass(frozen=True)
class Course:
    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """The course that `start`, or else the working folder, lies in.

        Raises:
            CourseError: no folder from `start` upwards holds nbgrader_config.py.
        """
        start = start or Path.cwd()
        for folder in (start.resolve(), *start.resolve().parents):
            if (folder / CONFIG_FILE).is_file():
                return cls(folder)
        raise CourseError(f"no {CONFIG_FILE} in {start} or above it: run this inside the course's folder")

    @cached_property
    def config(self) -> Config:
        config = PyFileConfigLoader(CONFIG_FILE, str(self.root)).load_config()
        config.CourseDirectory.root = str(self.root)
        return config

    @cached_property
    def api(self) -> NbGraderAPI:
        warnings.filterwarnings("ignore", category=SAWarning, module="nbgrader")  # its own sessions, harmless
        logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # what matters comes back in each call's result
        api = NbGraderAPI(config=self.config)
        api.log_level = logging.INFO
        return api

    @property
    def id(self) -> str:
        return str(self.api.coursedir.course_id)

    @cached_property
    def submitted(self) -> Path:
        return self.root / self.api.coursedir.submitted_directory

    @cached_property
    def autograded(self) -> Path:
        return self.root / self.api.coursedir.autograded_directory

    @cached_property
    def feedback(self) -> Path:
        return self.root / self.api.coursedir.feedback_directory

    @property
    def solutions(self) -> Path:
        return self.root / self.api.coursedir.source_directory

    @property
    def released(self) -> Path:
        return self.root / self.api.coursedir.release_directory

    @property
    def chapters(self) -> list[str]:
        """Every chapter with a notebook of its own name."""
        return sorted(path.parent.name for path in self.solutions.glob("*/*.ipynb") if path.stem == path.parent.name)

    def choose(self, names: list[str]) -> list[str]:
        """The chapters named, or all.

        Raises:
            CourseError: a name is no chapter.
        """
        for name in names:
            if name not in self.chapters:
                raise CourseError(f"no chapter {name} in {self.solutions.name}/{nearest(name, self.chapters)}")
        return names or self.chapters

    def choose_graded(self, names: list[str]) -> list[str]:
        """Those of the chapters named, or of all, that are graded."""
        return [name for name in self.choose(names) if self.is_graded(name)]

    def key(self, chapter: str) -> Key:
        return load_key(self.solutions / chapter)

    def is_graded(self, chapter: str) -> bool:
        return (self.solutions / chapter / "key.py").is_file()

    @property
    def limits(self) -> Limits:
        """What a submission may use: the defaults, and what nbgrader_config.py says of `c.Limits`.

        Raises:
            CourseError: a value there is invalid.
        """
        chosen, known = self.config.get("Limits", {}), [field.name for field in fields(Limits)]
        for name in chosen:
            if name not in known:
                raise CourseError(f"{CONFIG_FILE} sets c.Limits.{name}, an unknown setting{nearest(name, known)}")
        try:
            return Limits(**chosen)
        except ValueError as error:
            raise CourseError(f"{CONFIG_FILE}: c.Limits.{error}") from None

    def job(self, chapter: str, student: str) -> Job:
        """The grading of one submission.

        Raises:
            CourseError: the chapter is not released.
        """
        released = self._released_notebook(chapter).parent
        path = self.submitted / student / chapter / f"{chapter}.ipynb"
        missing = "" if path.is_file() and is_own(path, self.submitted) else _what_is_there(path, self.submitted)
        sheet = read_sheet(released)
        marked = whose_numbers(self, chapter, student) if "course" in sheet else Marked("")
        return Job(
            chapter,
            submitted=b"" if missing else _beginning(path),
            template=(released / path.name).read_bytes(),
            sheet=(released / FILE_NAME).read_bytes(),
            key=(self.solutions / chapter / "key.py").read_bytes(),
            student=full_name(sheet["course"], marked.name) if "course" in sheet else "",
            remark=marked.remark,
            missing=missing,
            limits=self.limits,
        )

    @property
    def results(self) -> Results:
        return Results(self.submitted.parent / "results")

    def template(self, chapter: str) -> NotebookNode:
        """The released notebook: what every submission is measured against.

        Raises:
            CourseError: the chapter has not been released.
        """
        return nbformat.read(self._released_notebook(chapter), as_version=4)

    def _released_notebook(self, chapter: str) -> Path:
        path = self.released / chapter / f"{chapter}.ipynb"
        if not path.is_file():
            raise CourseError(f"{chapter} is not released: run `autograde release {chapter}` first")
        return path

    def submissions(self, chapter: str) -> dict[str, Path]:
        """The folder that each student handed in, by student id."""
        found = sorted(self.submitted.glob(f"*/{chapter}"))
        return {path.parent.name: path for path in found if path.is_dir() and is_student(path.parent.name)}


def _beginning(path: Path) -> bytes:
    """A file's content, or of one too large to be graded just enough to see that it is."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def is_own(path: Path, root: Path) -> bool:
    """Whether no link is on the way from `root` to `path`: it could lead to the key, or to a neighbour's work."""
    straight = os.path.join(os.path.realpath(root), path.relative_to(root))
    return not path.is_symlink() and os.path.realpath(path) == straight


def _what_is_there(path: Path, root: Path) -> str:
    names = sorted(other.name + " (a link)" * (not is_own(other, root)) for other in path.parent.glob("*.ipynb"))
    found = f"it holds {', '.join(names)}" if names else "it holds no notebook"
    return f"expected {path.name} in the submission, but {found}".encode("utf-8", "replace").decode()


def succeed(result: dict[str, Any], what: str) -> None:
    """Take one result of nbgrader's API.

    Raises:
        CourseError: it failed; the text carries nbgrader's own words.
    """
    if not result["success"]:
        lines = (result.get("error") or result.get("log") or "no reason given").strip().splitlines()
        raise CourseError(f"{what}: {lines[-1]}")
