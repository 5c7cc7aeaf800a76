"""Everybody in a course, and by whose numbers each of them is marked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from autograde.answers.names import normal
from autograde.course.who import Marked, Person, cells_of, is_student, marked_as, signed_in

if TYPE_CHECKING:
    from autograde.course.course import Course

MAX_BYTES = 64 * 2**20  # of a notebook that a name is looked for in


def people(course: Course) -> dict[str, Person]:
    """Everybody, by student id: in the gradebook or among the submissions."""
    handed_in = {path.name: Person(path.name) for path in course.submitted.glob("*/") if is_student(path.name)}
    with course.api.gradebook as gradebook:
        rows = [(row.id, row.first_name, row.last_name, row.email) for row in gradebook.students]
    return handed_in | {row[0]: Person(*(field or "" for field in row)) for row in rows}


def whose_numbers(course: Course, chapter: str, student: str) -> Marked:
    """By whose numbers the submission of `student` is marked, in a course where everyone has numbers of their own."""
    claim = _claim(course, chapter, student)
    if not claim or normal(claim) == normal(student):
        return Marked(student)  # without a look at everybody else
    known = {student: Person(student)} | people(course)
    claims = {other: _claim(course, chapter, other) for other in course.submissions(chapter)}
    return marked_as(known[student], claim, [one for one in known.values() if one.id != student], claims)


def _claim(course: Course, chapter: str, student: str) -> str:
    """The name that a submission is signed in with: that of its notebooks' last one that has a name."""
    folder, root = course.submitted / student / chapter, course.submitted
    names = [_claim_in(path, root, *_state(path)) for path in sorted(folder.glob("*.ipynb"))]
    return next((name for name in reversed(names) if name), "")


def _state(path: Path) -> tuple[int, int]:
    try:
        facts = path.lstat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=4096)
def _claim_in(path: Path, root: Path, changed: int, size: int) -> str:
    """Read once for a whole class; `changed` and `size` tell when it has to be read again."""
    from autograde.course.course import is_own

    try:
        readable = size <= MAX_BYTES and path.is_file() and is_own(path, root)
        return signed_in(cells_of(path.read_bytes())) if readable else ""
    except OSError:
        return ""
