"""Grade what was handed in: one submission after the other, and no submission can stop the next one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograde.course import Course, CourseError, succeed
from autograde.key import nearest
from autograde.verdict_cell import read_verdict


@dataclass(frozen=True)
class Graded:
    """One submission after grading, as it lies in `autograded/`."""

    student: str
    chapter: str
    verdicts: list[dict[str, Any]]  # as `Verdict.as_data`, in the chapter's order
    notes: list[str]  # what had to be repaired before grading
    failure: str = ""  # why it could not be graded at all

    @property
    def points(self) -> float:
        return sum(verdict["points"] for verdict in self.verdicts)

    @property
    def out_of(self) -> float:
        return sum(verdict["out_of"] for verdict in self.verdicts)


def grade(course: Course, chapter: str, students: list[str], regrade: bool = False) -> Iterator[Graded]:
    """Grade the submissions of `chapter`, of all students or of those named, one at a time.

    A submission that has not changed since it was graded, against a key that has not changed, is not run again
    unless `regrade`.

    Raises:
        CourseError: the chapter is not released, or a student named handed nothing in.
    """
    course.template(chapter)  # complains early where nothing is released
    submissions = course.submissions(chapter)
    for student in students:
        if student not in submissions:
            raise CourseError(f"{student} handed in no {chapter}{nearest(student, list(submissions))}")
    for student in students or submissions:
        yield _grade_one(course, chapter, student, regrade)


def read_graded(course: Course, chapter: str, student: str) -> Graded | None:
    """The result of an earlier grading, or None where there is none."""
    notebook = _autograded(course, chapter, student)
    if notebook is None:
        return None
    verdicts = [verdict for cell in notebook.cells if (verdict := read_verdict(cell)) is not None]
    return Graded(student, chapter, verdicts, list(notebook.metadata.get("autograde", {}).get("notes", [])))


def _grade_one(course: Course, chapter: str, student: str, regrade: bool) -> Graded:
    folder = course.submissions(chapter)[student]
    path = folder / f"{chapter}.ipynb"
    try:
        if not path.is_file():
            there = sorted(other.name for other in folder.glob("*.ipynb"))
            found = f"it holds {', '.join(there)}" if there else "it holds no notebook"
            raise CourseError(f"expected {path.name} in the submission, but {found}")
        before = read_graded(course, chapter, student)
        if before is not None and not regrade and _is_current(course, chapter, student, path):
            return before
        succeed(course.api.autograde(chapter, student, force=True), "grading failed")
    except CourseError as error:
        return Graded(student, chapter, [], [], failure=str(error))
    graded = read_graded(course, chapter, student)
    assert graded is not None
    return graded


def _is_current(course: Course, chapter: str, student: str, path: Path) -> bool:
    notebook = _autograded(course, chapter, student)
    assert notebook is not None
    return bool(notebook.metadata.autograde.get("graded") == fingerprint(course, chapter, path.read_bytes()))


def fingerprint(course: Course, chapter: str, submitted: bytes) -> str:
    """What a mark depends on: the submission, the key and the released notebook."""
    parts = (submitted, course.key(chapter).digest.encode(), nbformat.writes(course.template(chapter)).encode())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _autograded(course: Course, chapter: str, student: str) -> NotebookNode | None:
    path = course.autograded / student / chapter / f"{chapter}.ipynb"
    return nbformat.read(path, as_version=4) if path.is_file() else None
