"""Marks as nbgrader's gradebook has them: the only source of reports, tables and exports.

The automatic score, a teacher's own mark, extra credit and the late penalty are the gradebook's. The messages
to the learner, and notes on what had to be repaired, come from the graded notebook and are never counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nbgrader.api import BaseCell, Grade, Gradebook, MissingEntry, Notebook, SubmittedAssignment, SubmittedNotebook

from autograde.course.course import Course
from autograde.course.database import open_gradebook
from autograde.course.grading import Graded, read_graded
from autograde.course.rows import BY_HAND
from autograde.exercises.verdict import Status, Verdict


@dataclass(frozen=True)
class Marks:
    """One submission's marks."""

    student: str
    chapter: str
    raw: float  # points before the late penalty: automatic, by hand, extra credit
    penalty: float  # for lateness
    out_of: float
    timestamp: datetime | None = None  # when it was handed in, UTC
    seconds_late: float = 0.0
    verdicts: list[dict[str, Any]] = field(default_factory=list)  # one for each graded cell; points are the gradebook's
    notes: list[str] = field(default_factory=list)  # what had to be repaired before grading
    failure: str = ""  # why it could not be graded
    look: list[str] = field(default_factory=list)  # what a teacher should look at

    @property
    def points(self) -> float:
        """The points that count: the same as in `nbgrader export`."""
        return max(0.0, self.raw - self.penalty)

    @property
    def is_late(self) -> bool:
        return self.seconds_late > 0

    @property
    def by_hand(self) -> list[str]:
        """The cells that wait for a teacher's mark."""
        return [verdict["exercise"] for verdict in self.verdicts if verdict["needs_manual_grade"]]


def not_graded(graded: Graded) -> Marks:
    """What a table says of a submission that could not be graded."""
    return Marks(graded.student, graded.chapter, 0.0, 0.0, graded.out_of, notes=graded.notes, failure=graded.failure)


def read_marks(course: Course, chapter: str, known: Mapping[str, Graded] | None = None) -> list[Marks]:
    """The marks of everybody who handed `chapter` in, by student id; none where nothing is graded.

    Messages and notes are read from the graded notebooks, unless they are `known`.
    """
    with open_gradebook(course) as gradebook:
        try:
            assignment = gradebook.find_assignment(chapter)
        except MissingEntry:
            return []
        cells = _cells(gradebook, assignment.id)
        submissions = sorted(assignment.submissions, key=lambda submission: str(submission.student_id))
        return [_marks(course, chapter, one, cells.get(one.id, {}), known or {}) for one in submissions]


Cells = dict[tuple[str, str], dict[str, Any]]  # by notebook and cell


def _cells(gradebook: Gradebook, assignment_id: str) -> dict[str, Cells]:
    """Every grade of an assignment, by submission."""
    query = (
        gradebook.db.query(
            SubmittedAssignment.id, Notebook.name, BaseCell.name, Grade.auto_score, Grade.manual_score,
            Grade.extra_credit, Grade.needs_manual_grade, Grade.score, Grade.max_score,
        )
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .join(BaseCell, BaseCell.id == Grade.cell_id)
        .filter(SubmittedAssignment.assignment_id == assignment_id)
    )  # fmt: skip
    cells: dict[str, Cells] = {}
    for submission, notebook, cell, auto, manual, extra, needs, score, most in query:
        cells.setdefault(submission, {})[notebook, cell] = {
            "auto": auto, "manual": manual, "extra": extra or 0.0, "needs_manual_grade": bool(needs),
            "points": (score or 0.0) + 0.0, "out_of": most,
        }  # fmt: skip
    return cells


def _marks(
    course: Course, chapter: str, submission: SubmittedAssignment, cells: Cells, known: Mapping[str, Graded]
) -> Marks:
    student = str(submission.student_id)
    graded = known.get(student) or read_graded(course, chapter, student)
    verdicts = {(verdict["notebook"], verdict["exercise"]): verdict for verdict in graded.verdicts} if graded else {}
    order = [*verdicts, *sorted(cells.keys() - verdicts.keys())]
    return Marks(
        student,
        chapter,
        raw=float(submission.score),
        penalty=float(submission.late_submission_penalty or 0.0),
        out_of=float(submission.max_score),
        timestamp=submission.timestamp,
        seconds_late=submission.total_seconds_late if submission.timestamp else 0.0,
        verdicts=[_verdict(cell, verdicts.get(cell), cells[cell]) for cell in order if cell in cells],
        notes=graded.notes if graded else [],
        failure=graded.failure if graded else "",
        look=graded.look if graded else [],
    )


def _verdict(cell: tuple[str, str], verdict: dict[str, Any] | None, grade: dict[str, Any]) -> dict[str, Any]:
    """A cell's marks, with the message that the learner gets."""
    message = verdict or Verdict(cell[1], Status.LOST, 0.0, 0.0, "").as_data() | {"notebook": cell[0]}
    waits = grade["auto"] is None and grade["manual"] is None
    status = BY_HAND if waits or grade["manual"] is not None else message["status"]
    return {**message, **grade, "status": status}


def spread(results: Sequence[Marks]) -> list[int]:
    """How many submissions earned 0 to 10 % of the points, 10 to 20 %, and so on up to 100 %."""
    counts = [0] * 10
    for marks in results:
        if marks.out_of:
            counts[min(9, int(10 * marks.points / marks.out_of))] += 1
    return counts


@dataclass(frozen=True)
class ExerciseSummary:
    """How a class did on one exercise."""

    id: str
    title: str
    out_of: float  # points
    share: float  # of the points, on average over the submissions, 0 to 1
    misconceptions: list[tuple[str, int]]  # the most common named misconceptions, with how many made them
    unanswered: int  # blank, or lost


def summarise(course: Course, chapter: str, results: Sequence[Marks]) -> list[ExerciseSummary]:
    """Every exercise and every other graded cell of a chapter, in its order."""
    titles = course.seal(chapter).titles if results else {}
    verdicts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for marks in results:
        for verdict in marks.verdicts:
            verdicts.setdefault((verdict["notebook"], verdict["exercise"]), []).append(verdict)
    summaries = []
    for (_, name), given in verdicts.items():
        out_of = given[0]["out_of"]
        misconceptions = Counter(verdict["misconception"] for verdict in given if verdict["misconception"])
        right = sum(verdict["status"] == Status.RIGHT for verdict in given)
        earned = sum(verdict["points"] for verdict in given)
        share = (earned / out_of if out_of else right) / len(given)  # of practice: how many are right
        unanswered = sum(verdict["status"] in (Status.BLANK, Status.LOST) for verdict in given)
        common = misconceptions.most_common(3)
        summaries.append(ExerciseSummary(name, titles.get(name, name), out_of, share, common, unanswered))
    return summaries
