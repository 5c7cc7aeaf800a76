"""A course: its chapters with their keys, and what becomes of a submission to one of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbgrader import utils

from autograde.answers.sheet import full_name
from autograde.authoring.key import Key, load_key
from autograde.course.folder import CourseFolder
from autograde.course.handed_in import read_submission
from autograde.course.identity import Marked
from autograde.course.people import whose_numbers
from autograde.course.settings import CONFIG_FILE, CourseError, read_settings
from autograde.engine.jobs import Job
from autograde.engine.limits import Limits

__all__ = ["CONFIG_FILE", "Course", "CourseError"]


@dataclass(frozen=True)
class Course(CourseFolder):
    """A course in its folder; `Course.find()` is the one that the working folder is in."""

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
        course = self.seal(chapter).variants_of
        marked = whose_numbers(self, chapter, student) if course else Marked("")
        return (full_name(course, marked.name) if course else ""), marked


def _has_graded_cell(path: Path) -> bool:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return any(utils.is_grade(NotebookNode(cell)) or utils.is_task(NotebookNode(cell)) for cell in cells)
    except (OSError, ValueError, KeyError, TypeError):  # no notebook: releasing it says so
        return False
