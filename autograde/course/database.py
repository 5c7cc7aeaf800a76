"""nbgrader's gradebook; opening it waits while formgrader or a database browser has locked it."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from nbgrader.api import Gradebook, InvalidEntry, MissingEntry
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from tqdm import tqdm

from autograde.course.file_errors import refused, why_not
from autograde.course.folder import CourseFolder
from autograde.course.settings import CourseError

PATIENCE = 60  # seconds for another program to let go of the gradebook
SILENCE = 2  # seconds of them before it is said what is waited for
_SQLITE = "sqlite:///"


def gradebook_url(course: CourseFolder) -> str:
    """Where the gradebook is; SQLite waits for a lock."""
    url = str(course.api.coursedir.db_url)
    return f"{url}?timeout={PATIENCE}" if url.startswith("sqlite") and "?" not in url else url


def gradebook_file(course: CourseFolder) -> Path | None:
    """The gradebook's file; None where a server has it."""
    url = str(course.api.coursedir.db_url)
    return Path(url.removeprefix(_SQLITE).partition("?")[0]) if url.startswith(_SQLITE) else None


class GradebookLocked(CourseError):
    """Another program does not let go of the gradebook."""


@contextmanager
def open_gradebook(course: CourseFolder) -> Iterator[Gradebook]:
    """The gradebook, closed at the end.

    Raises:
        CourseError: another program keeps it locked, or it cannot be read or written.
    """
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)  # nbgrader's: what matters is raised, too
    path = gradebook_file(course)
    try:
        (course.submitted.parent).mkdir(parents=True, exist_ok=True)
        if path is not None and path.is_file():
            _say_what_is_waited_for(path)
        with Gradebook(gradebook_url(course), course.id) as gradebook:
            yield gradebook
    except InvalidEntry as error:  # nbgrader's word for whatever keeps it from writing
        raise _explained(error.__context__ or error, path) from None
    except SQLAlchemyError as error:
        raise _explained(error, path) from None


def _say_what_is_waited_for(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=SILENCE)) as gradebook:
            gradebook.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.Error as error:
        if "locked" in str(error):
            said = f"autograde: another program has locked {path}: waiting until it lets go, up to {PATIENCE} seconds"
            tqdm.write(said, file=sys.stderr)  # above a progress bar


def _explained(error: BaseException, path: Path | None) -> CourseError:
    """What the database says, and what to do, in one line."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    name = path or "the gradebook"
    if "locked" in reason:
        return GradebookLocked(
            f"the gradebook has been locked by another program for {PATIENCE} seconds: "
            "close what has it open (a database browser?), then run this again"
        )
    if path is not None and any(part in reason for part in ("readonly", "unable to open", "is full")):
        number = errno.ENOSPC if "is full" in reason else why_not(path)
        return CourseError(refused(OSError(number, os.strerror(number), str(path))))
    if "disk I/O" in reason:
        return CourseError(f"{name} cannot be used ({reason}): its disk or your quota is full, or its disk is failing")
    if "malformed" in reason or "not a database" in reason:
        return CourseError(f"{name} is damaged ({reason}): put a backup of it in its place")
    if "no such" in reason or "has no column" in reason:
        return CourseError(f"{name} is of another nbgrader ({reason}): keep a copy, then run `nbgrader db upgrade`")
    if isinstance(error, DBAPIError):
        return CourseError(f"{name} cannot be used ({reason})")
    return CourseError(f"the gradebook refused an entry ({type(error).__name__}): {reason}")


def require_chapter(gradebook: Gradebook, chapter: str) -> None:
    """Raises CourseError where the gradebook does not know the chapter: it has not been released."""
    try:
        gradebook.find_assignment(chapter)
    except MissingEntry:
        raise CourseError(f"the gradebook does not know {chapter}: run `autograde release {chapter}` first") from None
