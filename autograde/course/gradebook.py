"""nbgrader's gradebook and its `autograded/` folder, held open by the one process that writes into them.

The same rows and files as nbgrader's own `autograde` command writes, through nbgrader's own models; but one connection
for a whole class, and one transaction for a submission's marks. The graded notebook is put in place last: where it
lies, the rows are there. Where the course adds steps of its own to nbgrader's, nbgrader itself does the work.
"""

from __future__ import annotations

import shutil
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import writes_json
from nbgrader import utils
from nbgrader.api import BaseCell, Comment, Grade, Gradebook, MissingEntry
from nbgrader.preprocessors import AssignLatePenalties, LimitOutput

from autograde.course.course import Course, CourseError, is_own, succeed
from autograde.course.lateness import enter_extension
from autograde.course.plugins import remark
from autograde.engine.jobs import write_whole

# nbgrader's steps in our configuration, which `Entries` does the work of
_STEPS = ["GradeAnswers", "LimitOutput", "SaveMarks", "AssignLatePenalties", "CheckCellMetadata"]


class Entries:
    """One chapter's submissions in the gradebook."""

    def __init__(self, course: Course, chapter: str):
        self.course, self.chapter = course, chapter
        self.coursedir = course.api.coursedir
        self.limit_output = LimitOutput(parent=course.api)
        self.late_penalties = AssignLatePenalties(parent=course.api)
        steps = [step.__name__ for step in course.config.Autograde.autograde_preprocessors]
        self.by_nbgrader = steps != _STEPS
        self.gradebook = Gradebook(self.coursedir.db_url, self.coursedir.course_id)

    def __enter__(self) -> Entries:
        try:
            self.gradebook.find_assignment(self.chapter)
        except MissingEntry:
            self.gradebook.close()
            raise CourseError(
                f"the gradebook does not know {self.chapter}: run `autograde release {self.chapter}` first"
            ) from None
        return self

    def __exit__(self, *_: Any) -> None:
        self.gradebook.close()

    def has(self, student: str) -> bool:
        """Whether there are rows for this student's submission."""
        try:
            self.gradebook.find_submission(self.chapter, student)
        except MissingEntry:
            return False
        return True

    def enter(self, student: str, notebook: NotebookNode) -> None:
        """Write a graded submission's marks, and its notebook into `autograded/`.

        Raises:
            CourseError: nbgrader could not, where it does the work.
        """
        if self.by_nbgrader:
            succeed(self.course.api.autograde(self.chapter, student, force=True), f"grading {student}")
            return
        self.limit_output.preprocess(notebook, {})
        self._write_marks(student, notebook)
        self._write_files(student, notebook)

    def _write_marks(self, student: str, notebook: NotebookNode) -> None:
        source = self.coursedir.format_path(self.coursedir.submitted_directory, student, self.chapter)
        timestamp = _timestamp(Path(source))
        known = {"timestamp": timestamp} if timestamp else {}
        self.gradebook.update_or_create_student(student)
        with self.gradebook.db.no_autoflush:  # the new rows refer to each other before all of them are there
            submission = self.gradebook.update_or_create_submission(self.chapter, student, **known)
        enter_extension(self.course, self.gradebook, student, self.chapter)
        submitted = next(row for row in submission.notebooks if row.name == self.chapter)
        grades = self._rows(Grade, submitted.id)
        comments = self._rows(Comment, submitted.id)
        for cell in notebook.cells:
            if utils.is_grade(cell):
                grade = grades[cell.metadata.nbgrader.grade_id]
                grade.auto_score, _ = utils.determine_grade(cell)
                grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
            if utils.is_solution(cell) or utils.is_task(cell):
                same = cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
                comment = comments[cell.metadata.nbgrader.grade_id]
                comment.auto_comment = remark("No response." if same and not utils.is_task(cell) else None, notebook)
        submitted.late_submission_penalty = None
        late = submission.total_seconds_late > 0
        self.gradebook.db.commit()
        if late:
            names = {"notebook": self.chapter, "assignment": self.chapter, "student": student}
            self.late_penalties.preprocess(notebook, {"nbgrader": {**names, "db_url": self.coursedir.db_url}})

    def _rows(self, kind: Any, submitted_id: str) -> dict[str, Any]:
        """A submitted notebook's grades or comments, by the name of their cell."""
        pairs = self.gradebook.db.query(BaseCell.name, kind).join(kind, kind.cell_id == BaseCell.id)
        return dict(pairs.filter(kind.notebook_id == submitted_id).all())

    def _write_files(self, student: str, notebook: NotebookNode) -> None:
        """What lies beside the notebook, then the notebook."""
        target = self.course.autograded / student / self.chapter
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        handed_in = self.course.submitted / student / self.chapter
        own = [handed_in] if is_own(handed_in, self.course.submitted) else []  # a link could lead anywhere
        for source in (*own, self.course.solutions / self.chapter):
            room = self.coursedir.max_dir_size * 1000  # bytes
            for name in utils.find_all_files(str(source), [*self.coursedir.ignore, "*.ipynb"]):
                room -= _copy(Path(name), target / Path(name).relative_to(source), room)
        write_whole(target / f"{self.chapter}.ipynb", (writes_json(notebook) + "\n").encode())
        (target / f"{self.chapter}.ipynb").chmod(0o444)


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


def _timestamp(folder: Path) -> datetime | None:
    """When a submission was handed in, where a file says so that can be believed to hold a date."""
    path = folder / "timestamp.txt"
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > 100:
            return None
        when: datetime | None = utils.parse_utc(path.read_text().strip())
    except (OSError, ValueError, OverflowError):
        return None
    return when
