"""One feedback page by nbgrader's own converter, for any student id."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Any

from nbgrader.apps.api import capture_log
from nbgrader.converters import GenerateFeedback

from autograde.course.course import Course
from autograde.course.database import gradebook_url
from autograde.course.file_errors import require_writable
from autograde.course.nbgrader import succeed


class _OneSubmission(GenerateFeedback):
    """Finds one submission by its names, where nbgrader looks for patterns.

    In those, an id such as `ada[1]` matches nothing; and it would lose the space at its end.
    """

    def __init__(self, course: Course, chapter: str, student: str):
        super().__init__(coursedir=course.api.coursedir, parent=course.api)
        self.chapter, self.student, self.url = chapter, student, gradebook_url(course)
        self.force = True

    def _format_source(self, assignment_id: str, student_id: str, escape: bool = False) -> str:
        if escape:  # a pattern that is to find both
            assignment_id = f"(?P<assignment_id>{re.escape(self.chapter)})"
            student_id = f"(?P<student_id>{re.escape(self.student)})"
        return str(super()._format_source(assignment_id, student_id, escape))

    def init_notebooks(self) -> None:
        folder = self._format_source(self.chapter, self.student)
        self.notebooks: list[str] = []
        self.assignments = {folder: sorted(glob.glob(str(Path(glob.escape(folder), "*.ipynb"))))}

    def init_single_notebook_resources(self, notebook_filename: str) -> dict[str, Any]:
        resources: dict[str, Any] = super().init_single_notebook_resources(notebook_filename)
        resources["nbgrader"]["db_url"] = self.url  # which waits for a lock
        return resources


def write_feedback(course: Course, chapter: str, student: str) -> None:
    """Write the feedback page of one graded submission.

    Raises:
        CourseError: nbgrader could not; the text carries its reason.
        OSError: the page's folder may not be written to.
    """
    require_writable(course.feedback, course.feedback / student / chapter)
    succeed(capture_log(_OneSubmission(course, chapter, student)), f"feedback for {student}")
