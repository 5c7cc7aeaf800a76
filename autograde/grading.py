"""Grade what was handed in: jobs on every core, results into nbgrader's gradebook as they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograde.course import Course, CourseError, succeed
from autograde.jobs import Job, run_jobs
from autograde.key import nearest
from autograde.verdict_cell import read_verdict


@dataclass(frozen=True)
class Graded:
    """One submission after grading, as it lies in `autograded/`."""

    student: str
    chapter: str
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # as `Verdict.as_data`, in the chapter's order
    notes: list[str] = field(default_factory=list)  # what had to be repaired before grading
    failure: str = ""  # why it could not be graded at all

    @property
    def points(self) -> float:
        return sum(verdict["points"] for verdict in self.verdicts)

    @property
    def out_of(self) -> float:
        return sum(verdict["out_of"] for verdict in self.verdicts)


def grade(
    course: Course, chapter: str, students: list[str], regrade: bool = False, workers: int = 1, scheduler: str = ""
) -> Iterator[Graded]:
    """Grade the submissions of `chapter`, of all students or of those named, in the order in which they finish.

    Work that was done before, by this run or by one that was killed, is not done again unless `regrade`.

    Raises:
        CourseError: the chapter is not released, or a student named handed nothing in.
    """
    course.template(chapter)  # complains early where nothing is released
    submissions = course.submissions(chapter)
    for student in students:
        if student not in submissions:
            raise CourseError(f"{student} handed in no {chapter}{nearest(student, list(submissions))}")
    waiting: dict[str, list[str]] = {}  # students by fingerprint: equal work is done once
    jobs: list[Job] = []
    for student in students or submissions:
        try:
            job = course.job(chapter, student)
        except CourseError as error:
            yield Graded(student, chapter, failure=str(error))
            continue
        if regrade:
            course.results.forget(job.fingerprint)
        if course.results.get(job.fingerprint) is not None:
            yield _enter(course, chapter, student, job)
        else:
            if job.fingerprint not in waiting:
                jobs.append(job)
            waiting.setdefault(job.fingerprint, []).append(student)
    for job, result in run_jobs(jobs, min(workers, len(jobs)), scheduler):
        for student in waiting[job.fingerprint]:
            if isinstance(result, Exception):
                yield Graded(student, chapter, failure=f"the grader failed on it twice: {result!r:.200}")
            else:
                course.results.put(job.fingerprint, result)
                yield _enter(course, chapter, student, job)


def read_graded(course: Course, chapter: str, student: str) -> Graded | None:
    """The result of an earlier grading, or None where there is none."""
    notebook = _autograded(course, chapter, student)
    if notebook is None:
        return None
    verdicts = [verdict for cell in notebook.cells if (verdict := read_verdict(cell)) is not None]
    return Graded(student, chapter, verdicts, list(notebook.metadata.get("autograde", {}).get("notes", [])))


def _enter(course: Course, chapter: str, student: str, job: Job) -> Graded:
    """Bring a finished result into the gradebook, unless it is there already."""
    present = _autograded(course, chapter, student)
    if present is None or present.metadata.get("autograde", {}).get("graded") != job.fingerprint:
        try:
            succeed(course.api.autograde(chapter, student, force=True), "grading failed")
        except CourseError as error:
            return Graded(student, chapter, failure=str(error))
    graded = read_graded(course, chapter, student)
    assert graded is not None
    return graded


def _autograded(course: Course, chapter: str, student: str) -> NotebookNode | None:
    path = course.autograded / student / chapter / f"{chapter}.ipynb"
    return nbformat.read(path, as_version=4) if path.is_file() else None
