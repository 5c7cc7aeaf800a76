"""Everybody in a course, and whose numbers each submission is marked with, where everyone has their own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path

from autograde.answers.names import normal
from autograde.course.database import open_gradebook
from autograde.course.folder import CourseFolder
from autograde.course.handed_in import is_notebook, is_own
from autograde.course.identity import Marked, Person, cells_of, is_student, marked_as, signed_in
from autograde.engine.reading import MAX_FILE

MAX_NOTEBOOKS = 100  # of a submission, in which a name is looked for


def people(course: CourseFolder) -> dict[str, Person]:
    """Everybody, by student id: in the gradebook or among the submissions."""
    handed_in = {path.name: Person(path.name) for path in course.submitted.glob("*/") if is_student(path.name)}
    with open_gradebook(course) as gradebook:
        rows = [(row.id, row.first_name, row.last_name, row.email) for row in gradebook.students]
    return handed_in | {row[0]: Person(*(field or "" for field in row)) for row in rows}


def as_known(name: str, known: Iterable[str]) -> str:
    """The id among those known that `name` spells: the same one, or else the one that differs in case or accents.

    >>> as_known("ADA", ["ada", "ben"]), as_known("cy", ["ada"])
    ('ada', 'cy')
    """
    known = list(known)
    alike = [student for student in known if normal(student) == normal(name)]
    return alike[0] if len(alike) == 1 and name not in known else name


def whose_numbers(course: CourseFolder, chapter: str, student: str) -> Marked:
    """Whose numbers the submission of `student` is marked with, in a course where everyone has numbers of their own."""
    claim = _claim(course, chapter, student)
    if not claim or normal(claim) == normal(student):
        return Marked(student)  # nobody else has to be looked at
    known = {student: Person(student)} | people(course)
    claims = {other: _claim(course, chapter, other) for other in course.submissions(chapter)}
    return marked_as(known[student], claim, [one for one in known.values() if one.id != student], claims)


def _claim(course: CourseFolder, chapter: str, student: str) -> str:
    """The name that a submission is signed in with: that of the last of its notebooks that has one."""
    folder, root = course.submitted / student / chapter, course.submitted
    named = (path for path in folder.rglob("*") if is_notebook(path.name))
    notebooks = sorted(islice(named, MAX_NOTEBOOKS)) if is_own(folder, root) else []
    names = [_claim_in(path, *_state(path)) for path in notebooks if is_own(path, root)]
    return next((name for name in reversed(names) if name), "")


def _state(path: Path) -> tuple[int, int]:
    try:
        facts = path.lstat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=4096)
def _claim_in(path: Path, changed: int, size: int) -> str:
    """The name in one notebook. It is cached: `changed` and `size` make sure that a new file is read again."""
    try:
        return signed_in(cells_of(path.read_bytes())) if size <= MAX_FILE and path.is_file() else ""
    except OSError:
        return ""
