"""Where autograde plugs into nbgrader, through nbgrader's own extension points (see nbgrader_config.py).

With these classes `nbgrader autograde`, formgrader's button and `autograde grade` all take the same path.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor

from autograde.course import Course
from autograde.jobs import sit
from autograde.repair import repair

Resources = dict[str, Any]
STUB = "...  # your answer in place of the dots"


class ClearAnswers(ClearSolutions):
    """ClearSolutions whose stub fits the cell: `patch_tokens = ...`, and `return ...` in a function."""

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        assigned = re.search(r"^### BEGIN SOLUTION\n(\w+) = ", cell.source, re.MULTILINE)
        self.code_stub = {"python": f"{assigned[1]} = {STUB}" if assigned else f"return {STUB}"}
        done: tuple[NotebookNode, Resources] = super().preprocess_cell(cell, resources, index)
        return done


class SubmissionExporter(NotebookExporter):
    """Reads any submitted file as a notebook: what nbgrader's first pass converts can no longer break it."""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        grading = resources["nbgrader"]
        course = Course.find(Path.cwd())
        path = Path(filename).resolve()
        if not path.is_relative_to(course.submitted):
            converted: tuple[Any, Any] = super().from_filename(filename, resources, **kw)
            return converted
        notebook = repair(path.read_bytes(), course.template(grading["assignment"])).notebook
        done: tuple[Any, Any] = self.from_notebook_node(notebook, resources=resources, **kw)
        return done


class GradeAnswers(NbGraderPreprocessor):
    """Takes the place of nbgrader's Execute: the submission's job, done now or, if it was done before, looked up."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        grading = resources["nbgrader"]
        course = Course.find(Path.cwd())
        job = course.job(grading["assignment"], grading["student"])
        graded = course.results.get(job.fingerprint)
        if graded is None:
            done = sit(job)
            course.results.put(job.fingerprint, done)
            graded = nbformat.reads(done.decode(), as_version=4)
        return graded, resources
