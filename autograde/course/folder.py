"""The folder of a course: nbgrader's own configuration and API, the chapters, and where everything lies."""

from __future__ import annotations

import errno
import logging
import os
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import nbformat
from nbformat import NotebookNode
from nbgrader.apps.api import NbGraderAPI
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from autograde.authoring.key import nearest
from autograde.course.file_errors import readable, refused
from autograde.course.handed_in import strays
from autograde.course.identity import is_student
from autograde.course.seal import Seal
from autograde.course.settings import CONFIG_FILE, CourseError, read_config
from autograde.engine.results import Results


@dataclass(frozen=True)
class CourseFolder:
    """A folder with nbgrader_config.py, which says what the other folders are called.

    `solutions` is the source and `released` what learners open; `submitted`, `autograded` and `feedback` are those of
    one course run, by student and chapter.
    """

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Self:
        """The course that `start`, or else the working folder, is in.

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
        config = read_config(self.root)
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
        """Every folder of the source that holds a notebook: nbgrader's assignments."""
        return sorted({path.parent.name for path in self.solutions.glob("*/*.ipynb")})

    def choose(self, names: list[str]) -> list[str]:
        """The chapters named, each once, or all; `07` is the only chapter whose name begins with it.

        Raises:
            CourseError: a name is not a chapter, or may be several.
        """
        return list(dict.fromkeys(map(self._chapter, names))) or self.chapters

    def _chapter(self, name: str) -> str:
        chapters = self.chapters
        found = [name] if name in chapters else [one for one in chapters if name and one.startswith(name)]
        if len(found) > 1:
            raise CourseError(f"{name} may be {', '.join(found)}: write more of the name")
        if not found:
            raise CourseError(f"no chapter {name} in {self.solutions.name}/{nearest(name, chapters)}")
        return found[0]

    @property
    def results(self) -> Results:
        return Results(self.submitted.parent / "results")

    def seal(self, chapter: str) -> Seal:
        """What was released of `chapter`: what every submission is measured against."""
        return Seal(self.submitted.parent / "released" / chapter)

    def template(self, chapter: str, notebook: str = "") -> NotebookNode:
        """A sealed notebook of the chapter, by default the one of the chapter's name.

        Raises:
            CourseError: the chapter has not been released, or its seal is damaged.
        """
        sealed = self.seal(chapter).notebook(notebook or chapter)
        try:
            return nbformat.reads(sealed.decode(), as_version=4)
        except Exception:  # nbformat raises what it likes on data that is not a notebook
            raise self.seal(chapter).damaged from None

    def submissions(self, chapter: str) -> dict[str, Path]:
        """The folder that each student handed in, by student id; one that may not be read is in `unreadable`."""
        found = [path for path in sorted(self.submitted.glob(f"*/{chapter}")) if path.is_dir() and readable(path)]
        folders = {path.parent.name: path for path in found}
        return {name: path for name, path in folders.items() if _is_text(name) and is_student(name)}

    @property
    def strays(self) -> list[str]:
        """Work among the submissions that lies where nothing is graded."""
        return strays(self.submitted, self.chapters)

    @property
    def unreadable(self) -> list[str]:
        """In words: folders among the submissions that no list has, as their name or what is in them cannot be read."""
        folders = sorted(self.submitted.glob("*/"))
        names = [os.fsencode(path.name).decode("utf-8", "replace") for path in folders if not _is_text(path.name)]
        problems = [f"a folder in {self.submitted.name}/ has no readable name, {name!r}: rename it" for name in names]
        inner = [path / chapter for path in folders for chapter in self.chapters]
        closed = [path for path in (self.submitted, *folders, *inner) if os.path.isdir(path) and not readable(path)]
        return problems + [refused(PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)) for path in closed]


def _is_text(name: str) -> bool:
    """Whether a file's name can be written down: undecodable bytes in it cannot, nor line breaks and their like."""
    return name.encode("utf-8", "replace").decode() == name and not re.search(r"[\x00-\x1f\x7f]", name)
