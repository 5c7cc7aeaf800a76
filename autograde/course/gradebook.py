"""nbgrader's gradebook and its `autograded/` folder, held open by the one process that writes into them.

The same rows and files as nbgrader's own `autograde` command writes, through nbgrader's own models; but one connection
for a whole class, and one transaction for a submission's marks. The graded notebooks are put in place last: where they
lie, the rows are there. Where the course adds steps of its own to nbgrader's, nbgrader itself does the work.
"""

from __future__ import annotations

import math
import shutil
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.preprocessors import AssignLatePenalties, LimitOutput
from sqlalchemy.exc import SQLAlchemyError

from autograde.authoring.files import write_whole
from autograde.course.course import CONFIG_FILE, Course, CourseError
from autograde.course.database import open_gradebook, require_chapter
from autograde.course.file_errors import refused, require_writable
from autograde.course.handed_in import is_own
from autograde.course.lateness import enter_extension
from autograde.course.nbgrader import succeed
from autograde.course.plugins import GRADING_STEPS
from autograde.course.rows import write_rows
from autograde.course.timestamps import read_time
from autograde.engine.jobs import as_bytes


class Entries:
    """One chapter's submissions in an open gradebook."""

    def __init__(self, course: Course, chapter: str, gradebook: Gradebook):
        """Errors: CourseError, where the gradebook does not know the chapter, or penalties cannot be reckoned."""
        self.course, self.chapter, self.gradebook = course, chapter, gradebook
        self.coursedir = course.api.coursedir
        self.limit_output = LimitOutput(parent=course.api)
        try:
            self.late_penalties = AssignLatePenalties(parent=course.api)
            self.late_penalties.init_plugin()
        except Exception as error:  # whatever a class raises that is not there, or does not start
            raise CourseError(
                f"{CONFIG_FILE}: c.AssignLatePenalties.plugin_class cannot be used ({error!s:.200})"
            ) from None
        self.by_nbgrader = list(course.config.Autograde.get("autograde_preprocessors", [])) != GRADING_STEPS
        require_chapter(gradebook, chapter)

    def has(self, student: str) -> bool:
        """Whether there are rows for this student's submission."""
        try:
            self.gradebook.find_submission(self.chapter, student)
        except MissingEntry:
            return False
        return True

    def enter(self, student: str, notebooks: Mapping[str, NotebookNode]) -> None:
        """Write a graded submission's marks, and its notebooks into `autograded/`.

        Raises:
            CourseError: nbgrader could not, where it does the work.
            OSError: the notebooks' folder may not be written to, or the disk is full.
        """
        if self.by_nbgrader:
            succeed(self.course.api.autograde(self.chapter, student, force=True), f"grading {student}")
            return
        for notebook in notebooks.values():
            self.limit_output.preprocess(notebook, {})
        require_writable(self.course.autograded / student / self.chapter)
        try:
            self._write_marks(student, notebooks)
        except Exception:
            self.gradebook.db.rollback()
            raise
        self._write_files(student, notebooks)

    def refresh_times(self) -> list[str]:
        """Bring lateness in line with timestamps and due dates, without grading again.

        Returns in words the timestamps that cannot be read, and where the course's own penalties fail.
        """
        problems = []
        folders = self.course.submissions(self.chapter)
        for submission in list(self.gradebook.find_assignment(self.chapter).submissions):
            student = submission.student.id
            if student in folders:
                timestamp, problem = read_timestamp(folders[student])
                if problem:
                    problems.append(f"{student}, {self.chapter}: {problem}")
                if timestamp is not None:
                    submission.timestamp = timestamp
            try:
                self._penalise(student, submission)
            except SQLAlchemyError:
                raise
            except Exception as error:  # whatever a class of the course's own raises
                plugin = type(self.late_penalties.plugin_inst).__name__
                problems.append(f"{student}, {self.chapter}: {plugin} failed, its penalty stays ({error!r:.200})")
        self.gradebook.db.commit()
        return problems

    def _penalise(self, student: str, submission: SubmittedAssignment) -> None:
        """As nbgrader's AssignLatePenalties does, in this transaction; all of a submission's penalties, or none.

        Raises:
            ValueError: a penalty is not a number. Whatever the course's own class raises.
        """
        self.gradebook.db.flush()
        late = submission.total_seconds_late
        penalties = []
        for notebook in submission.notebooks:
            penalty = None
            if late > 0:
                penalty = self.late_penalties.plugin_inst.late_submission_penalty(student, notebook.score, late)
            if penalty is not None:
                if math.isnan(penalty):
                    raise ValueError(f"the late penalty is {penalty}: expected a number of points")
                penalty = self.late_penalties._check_late_penalty(notebook, penalty)
            penalties.append(penalty)
        for notebook, penalty in zip(submission.notebooks, penalties, strict=True):
            notebook.late_submission_penalty = penalty

    def _write_marks(self, student: str, notebooks: Mapping[str, NotebookNode]) -> None:
        folder = self.coursedir.format_path(self.coursedir.submitted_directory, student, self.chapter)
        timestamp, _ = read_timestamp(Path(folder))
        known = {"timestamp": timestamp} if timestamp else {}
        self.gradebook.update_or_create_student(student)
        with self.gradebook.db.no_autoflush:  # the new rows refer to each other before all of them are there
            submission = self.gradebook.update_or_create_submission(self.chapter, student, **known)
        enter_extension(self.course, self.gradebook, student, self.chapter)
        for submitted in submission.notebooks:
            if submitted.name in notebooks:
                write_rows(self.gradebook, submitted, notebooks[submitted.name])
        self.gradebook.db.flush()
        self.gradebook.db.expire_all()
        self._penalise(student, submission)
        self.gradebook.db.commit()

    def _write_files(self, student: str, notebooks: Mapping[str, NotebookNode]) -> None:
        """Write the other files first, then the notebooks."""
        target = self.course.autograded / student / self.chapter
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        handed_in = self.course.submitted / student / self.chapter
        own = [handed_in] if is_own(handed_in, self.course.submitted) else []  # a link could lead anywhere
        for source in (*own, self.course.solutions / self.chapter):
            room = self.coursedir.max_dir_size * 1000  # bytes
            for name in utils.find_all_files(str(source), [*self.coursedir.ignore, "*.ipynb"]):
                room -= _copy(Path(name), target / Path(name).relative_to(source), room)
        for name, notebook in notebooks.items():
            write_whole(target / f"{name}.ipynb", as_bytes(notebook))
            (target / f"{name}.ipynb").chmod(0o444)


def refresh_times(course: Course, chapter: str) -> list[str]:
    """`Entries.refresh_times` of a chapter, in its own connection; nothing where the gradebook does not know it."""
    with open_gradebook(course) as gradebook:
        if chapter not in [assignment.name for assignment in gradebook.assignments]:
            return []
        return Entries(course, chapter, gradebook).refresh_times()


def _copy(path: Path, target: Path, room: int) -> int:
    """Copy a regular file that is not larger than `room`; its size in bytes. Anything else could be endless."""
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > room:
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    except OSError:  # nobody may read it, or its name is too long
        return 0
    target.chmod(0o444)
    return facts.st_size


def read_timestamp(folder: Path) -> tuple[datetime | None, str]:
    """When a submission was handed in, where a file says so; and why the file cannot be read, where it cannot."""
    path = folder / "timestamp.txt"
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > 100:
            return None, f"{path.name} holds no date"
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        return read_time(text) if text else None, "" if text else f"{path.name} is empty"
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, refused(error)
    except ValueError as error:
        return None, f"{path.name} holds {error}"
