"""The course on disk: nbgrader's own configuration and API, the chapters, and where everything lies."""

from __future__ import annotations

import logging
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
from autograde.course.handed_in import read_submission
from autograde.engine.jobs import Job
from autograde.engine.limits import Limits
from autograde.engine.results import Results

CONFIG_FILE = "nbgrader_config.py"


class CourseError(Exception):
    """Something about the course that its teacher can put right; the text says what."""


@dataclass(frozen=True)
class Course:
    root: Path

    @classmethod
    def find(cls, start: Path) -> Course:
        """The course that `start` lies in.

        Raises:
            CourseError: no folder from `start` upwards holds nbgrader_config.py.
        """
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

    def key(self, chapter: str) -> Key:
        return load_key(self.solutions / chapter)

    def is_graded(self, chapter: str) -> bool:
        return (self.solutions / chapter / "key.py").is_file()

    @property
    def limits(self) -> Limits:
        """What a submission may use: the defaults, and what nbgrader_config.py says of `c.Limits`.

        Raises:
            CourseError: what it says there cannot be.
        """
        chosen, known = self.config.get("Limits", {}), [field.name for field in fields(Limits)]
        for name in chosen:
            if name not in known:
                raise CourseError(f"{CONFIG_FILE} sets c.Limits.{name}, which is no limit{nearest(name, known)}")
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
        handed_in = read_submission(self.submitted / student / chapter, self.submitted, chapter, released)
        sheet = read_sheet(released)
        return Job(
            chapter,
            submitted=handed_in.notebook,
            template=(released / f"{chapter}.ipynb").read_bytes(),
            sheet=(released / FILE_NAME).read_bytes(),
            key=(self.solutions / chapter / "key.py").read_bytes(),
            student=full_name(sheet["course"], student) if "course" in sheet else "",
            missing=handed_in.missing,
            files=handed_in.files,
            notes=tuple(handed_in.notes),
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
        return {path.parent.name: path for path in sorted(self.submitted.glob(f"*/{chapter}")) if path.is_dir()}


def succeed(result: dict[str, Any], what: str) -> None:
    """Take one result of nbgrader's API.

    Raises:
        CourseError: it failed; the text carries nbgrader's own words.
    """
    if not result["success"]:
        lines = (result.get("error") or result.get("log") or "no reason given").strip().splitlines()
        raise CourseError(f"{what}: {lines[-1]}")
