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
from nbformat.v4 import new_code_cell
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor, SaveAutoGrades

from autograde.answers.sheet import FILE_NAME, read_sheet
from autograde.course.course import Course
from autograde.engine.execute import ILLUSTRATION, OPEN
from autograde.engine.jobs import grade_submission
from autograde.engine.repair import repair

Resources = dict[str, Any]
STUB = "...  # your answer in place of the dots"


class ClearAnswers(ClearSolutions):
    """ClearSolutions whose stub fits the cell: `patch_tokens = ...`, and `return ...` in a function."""

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        assigned = re.search(r"^### BEGIN SOLUTION\n(\w+) = ", cell.source, re.MULTILINE)
        self.code_stub = {"python": f"{assigned[1]} = {STUB}" if assigned else f"return {STUB}"}
        done: tuple[NotebookNode, Resources] = super().preprocess_cell(cell, resources, index)
        return done


class AskVariants(NbGraderPreprocessor):
    """Where the sheet holds variants: a sign-in cell, and questions that are asked by a cell instead of a text."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        folder = Path(resources["metadata"]["path"])
        exercises = read_sheet(folder)["exercises"] if (folder / FILE_NAME).exists() else {}
        varied = {name for name, entry in exercises.items() if "variants" in entry}
        cells: list[NotebookNode] = []
        for cell in nb.cells:
            name = cell.id.removesuffix("-prompt")
            if cell.cell_type == "code" and varied and not any(other.cell_type == "code" for other in cells):
                source = 'from autograde import ask, sign_in\n\nsign_in("...")  # your student id in place of the dots'
                cells.append(new_code_cell(source, id="sign-in"))  # on a hub it stays untouched, and grading skips it
                cells[-1].metadata.tags = [ILLUSTRATION]
            cells.append(cell)
            if cell.id.endswith("-prompt") and name in varied:
                heading = cell.source.split("\n\n")[:2]  # the question comes with the numbers
                cell.source = "\n\n".join([*heading, "*Run the next cell: it asks with your own numbers.*"])
                cells.append(new_code_cell(f'ask("{name}")', id=f"{name}-question"))
                cells[-1].metadata = NotebookNode(cell.metadata | {"tags": [ILLUSTRATION]})
                cells[-1].metadata.nbgrader = NotebookNode(cell.metadata.nbgrader | {"grade_id": cells[-1].id})
        nb.cells = cells
        return nb, resources


class SubmissionExporter(NotebookExporter):
    """Reads any submitted file as a notebook: what nbgrader's first pass converts can no longer break it."""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        grading = resources["nbgrader"]
        course = Course.find()
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
        course = Course.find()
        job = course.job(grading["assignment"], grading["student"])
        graded = course.results.get(job.fingerprint)
        if graded is None:
            done = grade_submission(job)
            course.results.put(job.fingerprint, done)
            graded = nbformat.reads(done.decode(), as_version=4)
        return graded, resources


class SaveMarks(SaveAutoGrades):
    """SaveAutoGrades whose comments say so where a notebook was graded without a sandbox."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        self.notebook = nb
        done: tuple[NotebookNode, Resources] = super().preprocess(nb, resources)
        return done

    def _add_comment(self, cell: NotebookNode, resources: Resources) -> None:
        super()._add_comment(cell, resources)
        names = (cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id)
        comment = self.gradebook.find_comment(*names)
        comment.auto_comment = remark(comment.auto_comment, self.notebook)
        self.gradebook.db.commit()


def remark(comment: str | None, notebook: NotebookNode) -> str | None:
    """The gradebook's comment on an answer, and that it was graded without a sandbox, where it was."""
    is_open = OPEN in notebook.metadata.get("autograde", {}).get("notes", [])
    return " ".join(filter(None, [comment, OPEN])) if is_open else comment
