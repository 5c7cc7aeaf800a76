"""Grade what was handed in: jobs on every core, results into nbgrader's gradebook as they arrive."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import reads_json

from autograde.course import Course, CourseError
from autograde.gradebook import Entries
from autograde.jobs import Job, WrongEnvironment, lost
from autograde.key import nearest
from autograde.verdict_cell import read_verdict
from autograde.watch import Watch
from autograde.workers import ClusterError, Result, WorkerDied, run_jobs


@dataclass(frozen=True)
class Graded:
    """One submission after grading, as it lies in `autograded/`."""

    student: str
    chapter: str
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # as `Verdict.as_data`, in the chapter's order
    notes: list[str] = field(default_factory=list)  # what had to be repaired before grading
    failure: str = ""  # why it could not be graded

    @property
    def points(self) -> float:
        return sum(verdict["points"] for verdict in self.verdicts)

    @property
    def out_of(self) -> float:
        return sum(verdict["out_of"] for verdict in self.verdicts)


def grade(
    course: Course,
    chapter: str,
    students: list[str],
    regrade: bool = False,
    workers: int = 0,
    scheduler: str = "",
    watch: Watch | None = None,
) -> Iterator[Graded]:
    """Grade the submissions of `chapter`, of all students or of those named, in the order in which they finish.

    On `workers` processes (0: in this one), or on the machines of the dask `scheduler`. Work that was done before, by
    this run or by one that was killed, is not done again unless `regrade`. `watch` says what is being waited for.

    Raises:
        CourseError: the chapter is not released, a student named handed nothing in, another run is at work,
            or no worker can be reached.
    """
    course.template(chapter)  # complains early where nothing is released
    submissions = course.submissions(chapter)
    for student in students:
        if student not in submissions:
            raise CourseError(f"{student} handed in no {chapter}{nearest(student, list(submissions))}")
    with _alone(course), Entries(course, chapter) as entries:
        waiting: dict[str, list[str]] = {}  # students by fingerprint: equal work is done once
        jobs: list[Job] = []
        for student in students or submissions:
            job = course.job(chapter, student)
            done = None if regrade else course.results.get(job.fingerprint)
            if done is None:
                if job.fingerprint not in waiting:
                    jobs.append(job)
                waiting.setdefault(job.fingerprint, []).append(student)
            else:
                graded = _as_graded(done, chapter, student)
                if not entries.has(student) or read_graded(course, chapter, student) != graded:
                    entries.enter(student, done)
                yield graded
        watch = watch or Watch()
        watch.students = waiting
        try:
            with watch:
                for job, result in run_jobs(jobs, workers, scheduler, watch):
                    notebook = _keep(course, job, result)
                    for student in waiting[job.fingerprint]:
                        entries.enter(student, notebook)
                        yield _as_graded(notebook, chapter, student)
        except (ClusterError, WrongEnvironment) as error:
            raise CourseError(str(error)) from None


def _keep(course: Course, job: Job, result: Result) -> NotebookNode:
    """The graded notebook of a job, kept for the next run unless the grader itself failed."""
    match result:
        case bytes():
            graded = result
        case WorkerDied():
            graded = lost(job, str(result), result.earned)
        case _:
            return reads_json(lost(job, f"the grader failed on it: {result!r:.200}").decode())
    course.results.put(job.fingerprint, graded)
    return reads_json(graded.decode())


def read_graded(course: Course, chapter: str, student: str) -> Graded | None:
    """The result of an earlier grading, or None where there is none."""
    path = course.autograded / student / chapter / f"{chapter}.ipynb"
    try:
        return _as_graded(reads_json(path.read_text(encoding="utf-8")), chapter, student)
    except (FileNotFoundError, ValueError):  # nbgrader's own command was killed while it wrote
        return None


def _as_graded(notebook: NotebookNode, chapter: str, student: str) -> Graded:
    verdicts = [verdict for cell in notebook.cells if (verdict := read_verdict(cell)) is not None]
    about = notebook.metadata.get("autograde", {})
    return Graded(student, chapter, verdicts, list(about.get("notes", [])), about.get("failure", ""))


@contextmanager
def _alone(course: Course) -> Iterator[None]:
    """The gradebook has one writer. The lock ends with the process that holds it, however that ends."""
    folder = course.submitted.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "grading.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CourseError("another `autograde grade` is at work in this course: wait until it is done") from None
        yield
