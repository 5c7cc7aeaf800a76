"""The course on disk: nbgrader's own configuration and API, the chapters, and where everything lies."""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.apps.api import NbGraderAPI
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from autograde.answers.sheet import full_name
from autograde.authoring.key import Key, load_key, nearest
from autograde.course.handed_in import read_submission, strays
from autograde.course.people import whose_numbers
from autograde.course.seal import Seal
from autograde.course.settings import CONFIG_FILE, CourseError, read_config, read_settings
from autograde.course.who import Marked, is_student
from autograde.engine.jobs import Job
from autograde.engine.limits import Limits
from autograde.engine.results import Results

__all__ = ["CONFIG_FILE", "Course", "CourseError"]


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

    def has_key(self, chapter: str) -> bool:
        return (self.solutions / chapter / "key.py").is_file()

    def is_graded(self, chapter: str) -> bool:
        """Whether it has a key, or cells that nbgrader grades."""
        return self.has_key(chapter) or any(map(_has_graded_cell, (self.solutions / chapter).glob("*.ipynb")))

    @property
    def limits(self) -> Limits:
        """What a submission may use: the defaults, and what nbgrader_config.py says of `c.Limits`.

        Raises:
            CourseError: a value there is invalid.
        """
        return read_settings(self.config, Limits)

    def job(self, chapter: str, student: str, notebook: str = "") -> Job:
        """The grading of one notebook of a submission, by default of the one of the chapter's name.

        Raises:
            CourseError: the chapter is not released.
        """
        seal, notebook = self.seal(chapter), notebook or chapter
        handed_in = read_submission(self.submitted / student / chapter, self.submitted, notebook, seal)
        name, marked = self.full_name(chapter, student)
        key = self.solutions / chapter / "key.py"
        return Job(
            chapter,
            submitted=handed_in.notebook,
            template=seal.notebook(notebook),
            sheet=seal.sheet,
            key=key.read_bytes() if key.is_file() else b"",
            student=name,
            missing=handed_in.missing,
            files=handed_in.files,
            notes=(*handed_in.notes, *filter(None, [marked.remark])),
            doubts=tuple(filter(None, [marked.doubt])),
            limits=self.limits,
        )

    def full_name(self, chapter: str, student: str) -> tuple[str, Marked]:
        """The name that a student's numbers come from, where everyone has their own, and how it was found."""
        course = json.loads(self.seal(chapter).sheet or "{}").get("course")
        marked = whose_numbers(self, chapter, student) if course else Marked("")
        return (full_name(course, marked.name) if course else ""), marked

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
        except Exception:  # nbformat raises what it likes on data that is no notebook
            raise CourseError(
                f"the sealed release of {chapter} is damaged: run `autograde release {chapter}`"
            ) from None

    def submissions(self, chapter: str) -> dict[str, Path]:
        """The folder that each student handed in, by student id."""
        folders = {path.parent.name: path for path in sorted(self.submitted.glob(f"*/{chapter}")) if path.is_dir()}
        return {name: path for name, path in folders.items() if _is_text(name) and is_student(name)}

    @property
    def strays(self) -> list[str]:
        """Work among the submissions that lies where nothing is graded."""
        return strays(self.submitted, self.chapters)

    @property
    def unreadable_names(self) -> list[str]:
        """Folders among the submissions whose names are no UTF-8, or no line: nobody can say whose they are."""
        return [
            os.fsencode(p.name).decode("utf-8", "replace") for p in self.submitted.glob("*/") if not _is_text(p.name)
        ]


def _is_text(name: str) -> bool:
    """Whether a file's name can be written down: undecodable bytes in it cannot, nor line breaks and their like."""
    return name.encode("utf-8", "replace").decode() == name and not re.search(r"[\x00-\x1f\x7f]", name)


def _has_graded_cell(path: Path) -> bool:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return any(utils.is_grade(NotebookNode(cell)) or utils.is_task(NotebookNode(cell)) for cell in cells)
    except (OSError, ValueError, KeyError, TypeError):  # no notebook: releasing it says so
        return False
