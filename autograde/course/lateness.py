"""When a chapter is due, for whom later, and how late it came: the only place that knows.

The due date is nbgrader's own, in its gradebook. An extension is nbgrader's too, but there it hangs on a submission,
and one is granted before anything is handed in: so it is kept in a file beside the gradebook, and entered into the
gradebook as soon as there is a submission.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from autograde.authoring.files import write_whole
from autograde.course.course import Course, CourseError
from autograde.course.database import open_gradebook, require_chapter


@dataclass(frozen=True)
class Lateness:
    """How late one submission came. Times are in UTC, as in nbgrader's gradebook."""

    due: datetime | None  # with the extension; None: at any time
    handed_in: datetime | None  # None: not at all, or nobody knows when
    extension: timedelta = timedelta(0)

    @property
    def late(self) -> timedelta:
        """How much late; 0 where it came in time, or nothing is known."""
        if self.due is None or self.handed_in is None:
            return timedelta(0)
        return max(timedelta(0), self.handed_in - self.due)

    def __str__(self) -> str:
        """For people: `2 days late`, `in time (3 days longer)`, or nothing where there is no due date."""
        if self.due is None or self.handed_in is None:
            return ""
        longer = f" ({days(self.extension)} longer)" if self.extension else ""
        return f"{span(self.late)} late{longer}" if self.late else f"in time{longer}"


def lateness(course: Course, student: str, chapter: str) -> Lateness:
    """How late `student` handed in `chapter`, by the gradebook's due date and time of submission."""
    extension = extension_of(course, student, chapter)
    with open_gradebook(course) as gradebook:
        due = _due(gradebook, chapter)
        try:
            handed_in = gradebook.find_submission(chapter, student).timestamp
        except MissingEntry:
            handed_in = None
    return Lateness(None if due is None else later(due, extension), handed_in, extension)


def later(due: datetime, longer: timedelta) -> datetime:
    """That many days after `due`, at the same hour of the local time, even if summer time begins or ends in between."""
    local = due.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
    return (local + longer).astimezone(UTC).replace(tzinfo=None)


def due(course: Course, chapter: str) -> datetime | None:
    """When `chapter` is due, in UTC."""
    with open_gradebook(course) as gradebook:
        return _due(gradebook, chapter)


def set_due(course: Course, chapter: str, when: datetime | None) -> None:
    """Set the due date, in UTC; None: there is none.

    Raises:
        CourseError: the gradebook does not know the chapter yet.
    """
    with open_gradebook(course) as gradebook:
        require_chapter(gradebook, chapter)
        gradebook.update_or_create_assignment(chapter, duedate=when)
        for student, chapters in _read(course).items():
            if chapter in chapters:
                enter_extension(course, gradebook, student, chapter)


def extend(course: Course, student: str, chapter: str, span: timedelta) -> None:
    """Give `student` that much longer for `chapter`, instead of what they were given before; 0 takes it back."""
    store = _read(course)
    chapters = store.setdefault(student, {})
    chapters[chapter] = span.days
    store = {name: kept for name, given in store.items() if (kept := {c: n for c, n in given.items() if n})}
    _file(course).parent.mkdir(parents=True, exist_ok=True)
    write_whole(_file(course), (json.dumps(store, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())
    with open_gradebook(course) as gradebook:
        enter_extension(course, gradebook, student, chapter)


def enter_extension(course: Course, gradebook: Gradebook, student: str, chapter: str) -> None:
    """Write the extension to the submission in the gradebook, if there is one: nbgrader's penalties go by that.

    Without a due date there is none to extend: nbgrader would fail on it.
    """
    due = _due(gradebook, chapter)
    longer = later(due, extension_of(course, student, chapter)) - due if due else timedelta(0)
    with contextlib.suppress(MissingEntry):  # nothing is handed in yet
        gradebook.grant_extension(chapter, student, minutes=longer // timedelta(minutes=1))


def extension_of(course: Course, student: str, chapter: str) -> timedelta:
    """How much longer a student has for a chapter; 0 without an extension."""
    return timedelta(days=_read(course).get(student, {}).get(chapter, 0))


def read_date(text: str) -> datetime:
    """A date as people write it, in UTC: `2026-12-01` is the end of that day, a time without a zone is this machine's.

    >>> read_date("2026-12-01T12:00+01:00")
    datetime.datetime(2026, 12, 1, 11, 0)

    Raises:
        CourseError: it is not a date; the text says what one looks like.
    """
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CourseError(f"{text!r} is no date: write 2026-12-01, or 2026-12-01T18:00, or none") from None
    if len(text.strip()) <= len("2026-12-01"):
        when += timedelta(hours=23, minutes=59, seconds=59)
    try:
        return when.astimezone(UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        raise CourseError(f"{text!r} is out of range: write a date such as 2026-12-01") from None


def shown(when: datetime | None) -> str:
    """A time in UTC as this machine's clock shows it."""
    return "no due date" if when is None else f"{when.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M %Z}"


def days(span: timedelta) -> str:
    return f"{span.days} day{'s' * (span.days != 1)}"


def span(late: timedelta) -> str:
    """In the largest unit that fits.

    >>> [span(timedelta(minutes=n)) for n in (0.5, 1, 61, 60 * 24 * 2 + 5)]
    ['1 minute', '1 minute', '1 hour', '2 days']
    """
    minutes = max(1, int(late.total_seconds() // 60))
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            return f"{minutes // size} {unit}{'s' * (minutes // size != 1)}"
    raise AssertionError("a minute is the least")


def _due(gradebook: Gradebook, chapter: str) -> datetime | None:
    try:
        when: datetime | None = gradebook.find_assignment(chapter).duedate
    except MissingEntry:
        return None
    return when


def _file(course: Course) -> Path:
    return course.submitted.parent / "extensions.json"


def _read(course: Course) -> dict[str, dict[str, int]]:
    """Days by student and chapter.

    Raises:
        CourseError: the file is damaged.
    """
    try:
        store = json.loads(_file(course).read_text(encoding="utf-8"))
        return {str(name): {str(c): int(n) for c, n in given.items()} for name, given in store.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError):
        raise CourseError(
            f"{_file(course)} is damaged: move it away, and give its extensions again with `autograde extend`"
        ) from None
