"""Where autograde plugs into nbgrader, through nbgrader's own extension points (see nbgrader_config.py).

With these classes `nbgrader autograde`, formgrader's button and `autograde grade` all take the same path.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.preprocessors import (
    ClearHiddenTests,
    ClearMarkScheme,
    ClearSolutions,
    NbGraderPreprocessor,
    SaveAutoGrades,
    SaveCells,
)
from traitlets import Bool, Unicode

from autograde.answers import ILLUSTRATION
from autograde.answers.sheet import FILE_NAME, read_sheet
from autograde.course.course import Course
from autograde.course.rows import write_rows
from autograde.course.seal import Seal
from autograde.engine.jobs import Unsettled, grade_submission
from autograde.engine.matching import RELEASED
from autograde.engine.repair import repair

Resources = dict[str, Any]
STUB = "...  # your answer in place of the dots"


def _exercises(resources: Resources) -> dict[str, Any]:
    """The entries of the sheet beside the notebook that is released; none for an ordinary nbgrader assignment."""
    folder = Path(resources["metadata"]["path"])
    return dict(read_sheet(folder)["exercises"]) if (folder / FILE_NAME).exists() else {}


class ClearAnswers(ClearSolutions):
    """ClearSolutions whose stub fits an exercise's cell: `patch_tokens = ...`, and `return ...` in a function."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        self.stub = ClearSolutions(parent=self.parent).code_stub  # nbgrader's own, for cells of no exercise
        self.exercises = _exercises(resources)
        done: tuple[NotebookNode, Resources] = super().preprocess(nb, resources)
        return done

    def preprocess_cell(self, cell: NotebookNode, resources: Resources, index: int) -> tuple[NotebookNode, Resources]:
        assigned = re.search(r"^### BEGIN SOLUTION\n(\w+) = ", cell.source, re.MULTILINE)
        ours = {"python": f"{assigned[1]} = {STUB}" if assigned else f"return {STUB}"}
        self.code_stub = ours if cell.get("id", "").removesuffix("-answer") in self.exercises else self.stub
        done: tuple[NotebookNode, Resources] = super().preprocess_cell(cell, resources, index)
        return done


class AskVariants(NbGraderPreprocessor):
    """Where the sheet holds variants: a sign-in cell, and questions that are asked by a cell instead of a text."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        varied = {name for name, entry in _exercises(resources).items() if "variants" in entry}
        if not varied:
            return nb, resources
        cells: list[NotebookNode] = []
        for cell in nb.cells:
            name = cell.id.removesuffix("-prompt")
            if cell.cell_type == "code" and not any(other.cell_type == "code" for other in cells):
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


class SealCells(SaveCells):
    """SaveCells that also seals the notebook: what submissions are graded against."""

    folder = Unicode(help="where chapters are sealed, if not in the course").tag(config=True)
    into_gradebook = Bool(True, help="whether the cells are saved, too").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        names = resources["nbgrader"]
        chapter = names["assignment"]
        course = Course.find()
        seal = Seal(Path(self.folder, chapter)) if self.folder else course.seal(chapter)
        if self.into_gradebook:
            nb, resources = super().preprocess(nb, resources)
        sealed = self._with_released_texts(nb, resources)
        seal.keep(names["notebook"], sealed, Path(resources["metadata"]["path"]), course.api.coursedir.ignore)
        return nb, resources

    def _with_released_texts(self, nb: NotebookNode, resources: Resources) -> NotebookNode:
        """The notebook with what learners get of a cell beside what stays here: hidden tests and mark schemes."""
        sealed = copy.deepcopy(nb)
        for step in (ClearHiddenTests(parent=self.parent), ClearMarkScheme(parent=self.parent)):
            for index, cell in enumerate(sealed.cells):
                shown = NotebookNode(cell, source=cell.metadata.get(RELEASED, cell.source))
                if step.preprocess_cell(shown, resources, index)[0].source != cell.source:
                    cell.metadata[RELEASED] = shown.source
        return sealed


class SubmissionExporter(NotebookExporter):
    """Reads any submitted file as a notebook: what nbgrader's first pass converts can no longer break it."""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        grading = resources["nbgrader"]
        course = Course.find()
        path = Path(filename).resolve()
        if not path.is_relative_to(course.submitted):
            converted: tuple[Any, Any] = super().from_filename(filename, resources, **kw)
            return converted
        template = course.template(grading["assignment"], grading["notebook"])
        notebook = repair(path.read_bytes(), template).notebook
        done: tuple[Any, Any] = self.from_notebook_node(notebook, resources=resources, **kw)
        return done


class GradeAnswers(NbGraderPreprocessor):
    """Takes the place of nbgrader's Execute: the submission's job, done now or, if it was done before, looked up."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        grading = resources["nbgrader"]
        course = Course.find()
        job = course.job(grading["assignment"], grading["student"], grading["notebook"])
        graded = course.results.get(job.fingerprint)
        if graded is None:
            try:
                done = grade_submission(job)
                course.results.put(job.fingerprint, done)
            except Unsettled as shown:
                done = shown.graded
            graded = nbformat.reads(done.decode(), as_version=4)
        return graded, resources


class SaveMarks(SaveAutoGrades):
    """SaveAutoGrades that flags what a teacher should look at, and where no sandbox was."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        names = resources["nbgrader"]
        with Gradebook(names["db_url"]) as gradebook:
            submitted = gradebook.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
            write_rows(gradebook, submitted, nb)
            gradebook.db.commit()
        return nb, resources


def _replaced(steps: list[Any], **ours: Any) -> list[Any]:
    """nbgrader's steps with single ones replaced, by name."""
    return [ours.get(step.__name__, step) for step in steps]


RELEASE_STEPS = [
    AskVariants,
    *_replaced(GenerateAssignment().preprocessors, ClearSolutions=ClearAnswers, SaveCells=SealCells),
]
GRADING_STEPS = _replaced(Autograde().autograde_preprocessors, Execute=GradeAnswers, SaveAutoGrades=SaveMarks)
