"""Grade what was handed in: jobs on every core, results into nbgrader's gradebook as they arrive."""

from __future__ import annotations

import copy
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import reads_json
from sqlalchemy.exc import OperationalError

from autograde.authoring.key import nearest
from autograde.course.course import Course, CourseError
from autograde.course.database import open_gradebook
from autograde.course.file_errors import refused, require_writable
from autograde.course.gradebook import Entries
from autograde.course.rows import doubts, read_result
from autograde.engine.jobs import Job, Unsettled, WrongEnvironment, lost
from autograde.engine.watch import Watch
from autograde.engine.workers import ClusterError, Result, WorkerDied, run_jobs


@dataclass(frozen=True)
class Graded:
    """One submission after grading, as it is in `autograded/`."""

    student: str
    chapter: str
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # as `Verdict.as_data`, in the chapter's order
    notes: list[str] = field(default_factory=list)  # what had to be repaired before grading
    failure: str = ""  # why it could not be graded
    look: list[str] = field(default_factory=list)  # what a teacher should look at

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
    this run or by one that was killed, is not done again unless `regrade`. What goes wrong with one submission is its
    `failure`, and the others are graded. `watch` says what is being waited for.

    Raises:
        CourseError: the chapter is not released or no Python, a student named handed nothing in, another run is at
            work, the gradebook is locked, or no worker can be reached.
        BadKey: the chapter's key cannot be read, or lacks an exercise that was released; all marks stay.
    """
    names = course.seal(chapter).notebooks  # complains early where nothing is released
    for name in names:
        _refuse_other_languages(course.template(chapter, name), f"{chapter}/{name}.ipynb")
    submissions = course.submissions(chapter)
    for student in students:
        if student not in submissions:
            raise CourseError(f"{student} handed in no {chapter}{nearest(student, list(submissions))}")
    require_writable(course.autograded, course.results.folder)
    with _alone(course), open_gradebook(course) as gradebook:
        course.results.sweep()
        entries = Entries(course, chapter, gradebook)
        waiting: dict[str, list[tuple[str, str]]] = {}  # student and notebook by fingerprint: equal work is done once
        jobs: dict[str, Job] = {}
        done: dict[str, dict[str, NotebookNode]] = {student: {} for student in students or submissions}
        for student in list(done):
            try:
                wanted = {name: course.job(chapter, student, name) for name in names}
            except OSError as error:
                del done[student]
                yield Graded(student, chapter, failure=refused(error))
                continue
            for name, job in wanted.items():
                known = None if regrade else course.results.get(job.fingerprint)
                if known is None:
                    jobs[job.fingerprint] = job
                    waiting.setdefault(job.fingerprint, []).append((student, name))
                else:
                    done[student][name] = known
            if len(done[student]) == len(names):
                yield _enter(entries, student, done.pop(student), unless_there=True)
        watch = watch or Watch()
        watch.students = {fingerprint: [student for student, _ in each] for fingerprint, each in waiting.items()}
        try:
            with watch:
                for job, result in run_jobs(list(jobs.values()), workers, scheduler, watch):
                    notebook = _keep(course, job, result)
                    theirs = waiting[job.fingerprint]
                    for student, name in theirs:
                        done[student][name] = copy.deepcopy(notebook) if len(theirs) > 1 else notebook
                        if len(done[student]) == len(names):
                            yield _enter(entries, student, done.pop(student))
        except (ClusterError, WrongEnvironment) as error:
            raise CourseError(str(error)) from None


def _refuse_other_languages(released: NotebookNode, name: str) -> None:
    """Raises CourseError where a notebook is not Python: its tests would fail, and everybody score 0."""
    kernel, language = released.metadata.get("kernelspec", {}), released.metadata.get("language_info", {})
    spoken = kernel.get("language") or language.get("name") or "python"
    if spoken.lower() not in ("python", "ipython"):
        raise CourseError(f"{name} is written in {spoken}: only Python is graded here")


def _enter(entries: Entries, student: str, notebooks: dict[str, NotebookNode], unless_there: bool = False) -> Graded:
    """Enter a submission's marks; its failure, if they cannot be entered."""
    course, chapter = entries.course, entries.chapter
    graded = _as_graded(notebooks, chapter, student)
    if unless_there and entries.has(student) and read_graded(course, chapter, student) == graded:
        return graded
    try:
        entries.enter(student, notebooks)
    except OperationalError:  # the gradebook is locked or gone: that holds for everybody
        raise
    except OSError as error:
        return replace(graded, failure=f"its marks could not be written: {refused(error)}")
    except Exception as error:
        if isinstance(error.__context__, OperationalError):  # the same in nbgrader's words
            raise
        return replace(graded, failure=f"its marks could not be written: {error!s:.200}")
    return graded


def _keep(course: Course, job: Job, result: Result) -> NotebookNode:
    """The graded notebook of a job, kept for the next run unless time, its worker or the grader itself failed."""
    match result:
        case bytes():
            graded = result
            course.results.put(job.fingerprint, graded)
        case Unsettled():
            graded = result.graded
        case WorkerDied():
            graded = lost(job, str(result), result.earned)
        case _:
            graded = lost(job, f"the grader failed on it: {result!r:.200}")
    return reads_json(graded.decode())


def read_graded(course: Course, chapter: str, student: str) -> Graded | None:
    """The result of an earlier grading, or None where there is none."""
    folder = course.autograded / student / chapter
    try:
        notebooks = {
            name: reads_json((folder / f"{name}.ipynb").read_text(encoding="utf-8"))
            for name in course.seal(chapter).notebooks
        }
    except (OSError, ValueError):  # nbgrader's own command was killed while it wrote
        return None
    return _as_graded(notebooks, chapter, student)


def _as_graded(notebooks: dict[str, NotebookNode], chapter: str, student: str) -> Graded:
    ordered = [notebooks[name] for name in sorted(notebooks)]
    verdicts = [
        result | {"notebook": name}
        for name in sorted(notebooks)
        for cell in notebooks[name].cells
        if (result := read_result(cell)) is not None
    ]
    about = [notebook.metadata.get("autograde", {}) for notebook in ordered]
    notes = [note for one in about for note in one.get("notes", [])]
    look = [doubt for notebook in ordered for doubt in doubts(notebook)]
    failures = [one["failure"] for one in about if one.get("failure")]
    return Graded(student, chapter, verdicts, notes, "; ".join(failures), look)


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
