"""Marks for another gradebook: one row per learner, one column per chapter, in the format that its importer reads.

- csv: for people and for spreadsheets.
- canvas: what Canvas' gradebook importer asks for (instructure/canvas-lms, lib/gradebook_importer.rb): Student, ID, SIS
  User ID, SIS Login ID, Section, then the assignments; the second row holds the points possible.
- moodle: what Moodle's grade import reads (docs.moodle.org, Grade import: CSV): the columns of its own grade export,
  one of which is mapped to a user, others to grade items.

Marks are those of nbgrader's gradebook after late penalties. Whoever handed nothing in has an empty cell: whether that
is a 0 is for the teacher to say, and both platforms leave such a mark as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autograde.course.course import Course, CourseError
from autograde.course.database import open_gradebook
from autograde.course.marks import Marks, read_marks
from autograde.course.roster import Learner, Roster

FORMATS = ("csv", "canvas", "moodle")


@dataclass(frozen=True)
class Table:
    """What the gradebook says: students by id, chapters with their maximum, and marks by student and chapter."""

    students: dict[str, Learner]
    chapters: dict[str, float]
    marks: dict[tuple[str, str], Marks]

    @property
    def waiting(self) -> int:
        """How many marks a teacher still has to give."""
        return sum(bool(marks.by_hand) for marks in self.marks.values())


def read_table(course: Course, chapters: Sequence[str]) -> Table:
    """The marks of those of `chapters` that anything is graded in."""
    found = {chapter: marks for chapter in chapters if (marks := read_marks(course, chapter))}
    students = {}
    with open_gradebook(course) as gradebook:
        for row in gradebook.students:
            names = {name: getattr(row, name) or "" for name in ("first_name", "last_name", "email")}
            students[str(row.id)] = Learner(id=row.id, **names)
    students = dict(sorted(students.items(), key=lambda one: (one[1].last_name, one[1].first_name, one[0])))
    most = {chapter: max(one.out_of for one in marks) for chapter, marks in found.items()}
    return Table(students, most, {(one.student, name): one for name, marks in found.items() for one in marks})


def rows_of(marks: Table, to: str, roster: Roster | None = None) -> tuple[list[list[object]], list[str]]:
    """The table, and the students that the roster does not know; they are left out of it, except in `csv`.

    Raises:
        CourseError: two students are one learner of the roster, or one could be several.
    """
    learners, unknown = list(marks.students.items()), list[str]()
    if roster is not None:
        learners, unknown = _by_roster(marks, roster)
        if to == "csv":
            learners += [(student, marks.students[student]) for student in unknown]
    heading = roster.heading if roster else str
    table: list[list[object]] = [[*_HEADS[to], *map(heading, marks.chapters)]]
    if to == "canvas":
        table.append(["    Points Possible", *[""] * 4, *map(_number, marks.chapters.values())])
    for student, learner in learners:
        earned = [marks.marks.get((student, chapter)) for chapter in marks.chapters]
        points = ["" if mark is None else _number(mark.points) for mark in earned]
        table.append([*_person(to, student, learner), *points])
    return table, unknown


_HEADS = {
    "csv": ("id", "first_name", "last_name", "email", "section"),
    "canvas": ("Student", "ID", "SIS User ID", "SIS Login ID", "Section"),
    "moodle": ("First name", "Last name", "Username", "ID number", "Email address"),
}


def _person(to: str, student: str, learner: Learner) -> tuple[str, ...]:
    login = learner.login or learner.id
    if to == "canvas":
        return learner.sortable_name, learner.lms_id, learner.sis_id, login, learner.section
    if to == "moodle":
        return learner.first_name, learner.last_name, login, learner.sis_id, learner.email
    return student, learner.first_name, learner.last_name, learner.email, learner.section


def _by_roster(marks: Table, roster: Roster) -> tuple[list[tuple[str, Learner]], list[str]]:
    """The roster's learners in its order, each with the gradebook's id, and who is not in the roster."""
    ids: dict[int, str] = {}
    unknown = []
    for student, known in marks.students.items():
        place = roster.find(known)
        if place is None:
            unknown.append(student)
        elif place in ids:
            learner = roster.learners[place]
            raise CourseError(
                f"{ids[place]} and {student} are both {learner.full_name or learner.main_id} in the roster: rename one "
                "of the two folders among the submissions, remove that student with `nbgrader db`, and grade again"
            )
        else:
            ids[place] = student
    return [(ids.get(place, learner.main_id), learner) for place, learner in enumerate(roster.learners)], unknown


def _number(points: float) -> str:
    """Two decimals are what the platforms keep.

    >>> [_number(points) for points in (34.0, 12.5, 1 / 3)]
    ['34', '12.5', '0.33']
    """
    return f"{points:.2f}".rstrip("0").rstrip(".")
