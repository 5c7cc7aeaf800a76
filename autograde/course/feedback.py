"""One feedback page by nbgrader's own converter, for any student id."""

from __future__ import annotations

import glob
from pathlib import Path

from nbgrader.apps.api import capture_log
from nbgrader.converters import GenerateFeedback

from autograde.course.course import Course
from autograde.course.nbgrader import succeed


class _OneSubmission(GenerateFeedback):
    """nbgrader looks for the notebooks by a pattern, in which an id such as `ada[1]` matches nothing."""

    def init_notebooks(self) -> None:
        folder = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        self.notebooks: list[str] = []
        self.assignments = {folder: sorted(glob.glob(str(Path(glob.escape(folder), "*.ipynb"))))}


def write_feedback(course: Course, chapter: str, student: str) -> None:
    """Write the feedback page of one graded submission.

    Raises:
        CourseError: nbgrader could not; the text carries its reason.
    """
    coursedir = course.api.coursedir
    before = coursedir.assignment_id, coursedir.student_id
    coursedir.assignment_id, coursedir.student_id = chapter, student
    try:
        converter = _OneSubmission(coursedir=coursedir, parent=course.api)
        converter.force = True
        succeed(capture_log(converter), f"feedback for {student}")
    finally:
        coursedir.assignment_id, coursedir.student_id = before
