"""nbgrader's gradebook; opening it waits while formgrader or a database browser has locked it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nbgrader.api import Gradebook, MissingEntry
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from autograde.course.folder import CourseFolder
from autograde.course.settings import CourseError

PATIENCE = 60  # seconds for another program to let go of the gradebook


def gradebook_url(course: CourseFolder) -> str:
    """Where the gradebook is; SQLite waits for a lock."""
    url = str(course.api.coursedir.db_url)
    return f"{url}?timeout={PATIENCE}" if url.startswith("sqlite") and "?" not in url else url


class GradebookLocked(CourseError):
    """Another program does not let go of the gradebook."""


@contextmanager
def open_gradebook(course: CourseFolder) -> Iterator[Gradebook]:
    """The gradebook, closed at the end.

    Raises:
        CourseError: another program keeps it locked, or it cannot be read or written.
    """
    try:
        (course.submitted.parent).mkdir(parents=True, exist_ok=True)
        with Gradebook(gradebook_url(course), course.id) as gradebook:
            yield gradebook
    except OperationalError as error:
        reason = str(error.orig)
        if "locked" in reason:
            raise GradebookLocked(
                f"the gradebook has been locked by another program for {PATIENCE} seconds: "
                "close what has it open (a database browser?), then run this again"
            ) from None
        raise CourseError(
            f"the gradebook cannot be used ({reason}); after an upgrade, run `nbgrader db upgrade`"
        ) from None
    except SQLAlchemyError as error:
        raise CourseError(
            f"the gradebook refused an entry ({type(error).__name__}): {str(error).splitlines()[0]}"
        ) from None


def require_chapter(gradebook: Gradebook, chapter: str) -> None:
    """Raises CourseError where the gradebook does not know the chapter: it has not been released."""
    try:
        gradebook.find_assignment(chapter)
    except MissingEntry:
        raise CourseError(f"the gradebook does not know {chapter}: run `autograde release {chapter}` first") from None
