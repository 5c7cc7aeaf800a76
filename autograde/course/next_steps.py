"""What a teacher can do next: discuss an exercise, help a student, look at what the grader cannot decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from urllib.parse import quote

from nbgrader.api import Assignment, Notebook, SubmittedAssignment, SubmittedNotebook

from autograde.course.course import Course
from autograde.course.database import open_gradebook
from autograde.course.marks import ExerciseSummary, Marks
from autograde.course.settings import Report, read_settings
from autograde.engine.jobs import UNREADABLE

LOW = 0.5  # the share of the points below which somebody needs help
HARD = 0.8  # the share of the points below which an exercise should be discussed in class
MOST_TOPICS = 3  # a chapter
RENAMED = "Graded is "  # how a note begins where the notebook had another name


@dataclass(frozen=True)
class Topic:
    """An exercise to talk about in class."""

    chapter: str
    exercise: ExerciseSummary
    message: str  # the one that belongs to the most common misconception


@dataclass(frozen=True)
class Waiting:
    """Work that a teacher has to look at."""

    kind: str  # manual, flagged, unreadable, not graded, renamed
    student: str
    chapter: str
    what: str
    link: str  # to formgrader


@dataclass(frozen=True)
class Help:
    """Somebody who may need help, and the reasons."""

    student: str
    reasons: list[str]


def topics(chapter: str, exercises: Sequence[ExerciseSummary], results: Sequence[Marks]) -> list[Topic]:
    """The exercises of a chapter that went worst, the worst first; none that waits for marks by hand."""
    open_ = {name for marks in results for name in marks.by_hand}
    hard = sorted((one for one in exercises if one.share < HARD and one.id not in open_), key=lambda one: one.share)
    return [Topic(chapter, one, _message_of(one, results)) for one in hard[:MOST_TOPICS]]


def _message_of(exercise: ExerciseSummary, results: Sequence[Marks]) -> str:
    name = exercise.misconceptions[0][0] if exercise.misconceptions else ""
    verdicts = (verdict for marks in results for verdict in marks.verdicts if name)
    same = (one["message"] for one in verdicts if (one["exercise"], one["misconception"]) == (exercise.id, name))
    return str(next(same, ""))


def queue(course: Course, chapter: str, results: Sequence[Marks]) -> list[Waiting]:
    """The work of one chapter that a teacher has to look at."""
    base = read_settings(course.config, Report).formgrader.rstrip("/")
    notebooks = _notebooks(course, chapter)
    found = []
    for marks in results:
        theirs = {name: (flagged, f"{base}/submissions/{quote(id)}") for name, id, flagged in notebooks[marks.student]}
        first = next(iter(theirs.values()), (False, base))[1]

        def wait(kind: str, what: str, link: str, marks: Marks = marks) -> None:
            found.append(Waiting(kind, marks.student, chapter, what, link))

        if marks.failure:
            wait("unreadable" if marks.failure.startswith(UNREADABLE) else "not graded", marks.failure, first)
        for name, (flagged, link) in theirs.items():
            by_hand = [one["exercise"] for one in marks.verdicts if one["notebook"] == name]
            by_hand = [one for one in by_hand if one in marks.by_hand]
            if by_hand:
                wait("manual", ", ".join(by_hand), link)
            if flagged:
                wait("flagged", "; ".join(marks.look) or "flagged by hand", link)
        for note in marks.notes:
            if note.startswith(RENAMED):
                wait("renamed", note, first)
    return found


def _notebooks(course: Course, chapter: str) -> Mapping[str, list[tuple[str, str, bool]]]:
    """Name, id and flag of every submitted notebook, by student."""
    with open_gradebook(course) as gradebook:
        query = (
            gradebook.db.query(
                SubmittedAssignment.student_id, Notebook.name, SubmittedNotebook.id, SubmittedNotebook.flagged
            )
            .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            .join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
            .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
            .filter(Assignment.name == chapter)
            .order_by(Notebook.name)
        )
        found: dict[str, list[tuple[str, str, bool]]] = {}
        for student, name, id, flagged in query:
            found.setdefault(str(student), []).append((name, id, bool(flagged)))
    return found


def who_needs_help(results: Sequence[Marks], chapters: Sequence[str]) -> list[Help]:
    """Those with few points, work that came late or chapters not handed in; those with the fewest points first."""
    theirs: dict[str, dict[str, Marks]] = {}
    for marks in results:
        theirs.setdefault(marks.student, {})[marks.chapter] = marks
    handed_in = {name for name in chapters if any(marks.chapter == name for marks in results)}
    found = []
    for student, by_chapter in theirs.items():
        graded = [one for one in by_chapter.values() if _settled(one) > 0 and not one.failure]
        share = mean(one.points / _settled(one) for one in graded) if graded else 1.0
        reasons = [f"{100 * share:.0f} % of the points"] if share < LOW else []
        if missing := sorted(handed_in - by_chapter.keys()):
            reasons.append(f"not handed in: {', '.join(missing)}")
        blank = sum(verdict["status"] == "blank" for one in graded for verdict in one.verdicts)
        if reasons and blank:
            reasons.append(f"{blank} not answered")
        if late := sum(one.is_late for one in by_chapter.values()):
            reasons.append(f"late {late} time{'s' * (late != 1)}")
        if share < LOW or missing:
            found.append((share, Help(student, reasons)))
    return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].student))]


def _settled(marks: Marks) -> float:
    """The points that could be earned so far: without what waits for a mark by hand."""
    return marks.out_of - sum(one["out_of"] for one in marks.verdicts if one["needs_manual_grade"])
