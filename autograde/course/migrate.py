"""A chapter's cells in the gradebook: saved at release, and changed with care once there are submissions."""

from __future__ import annotations

from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import (
    Assignment,
    Comment,
    Grade,
    Gradebook,
    GradeCell,
    Notebook,
    SolutionCell,
    SourceCell,
    SubmittedNotebook,
    TaskCell,
)
from nbgrader.preprocessors import SaveCells

from autograde.course.course import Course
from autograde.course.database import gradebook_url, open_gradebook
from autograde.course.seal import Seal
from autograde.course.settings import CourseError

Cells = dict[tuple[type, str], NotebookNode]  # the cells that have marks or comments, by kind and name
_KINDS = {GradeCell: utils.is_grade, SolutionCell: utils.is_solution, TaskCell: utils.is_task}
_ROWS = {GradeCell: [Grade], SolutionCell: [Comment], TaskCell: [Grade, Comment]}  # that a submission has of each


def save_cells(course: Course, chapter: str, seal: Seal, migrate: bool = False) -> None:
    """Tell the gradebook what a chapter's sealed notebooks hold.

    Raises:
        CourseError: there are submissions, and cells would be added, dropped or given other points; `migrate` allows
            that: marks of dropped cells go, and submissions get rows for new ones.
    """
    new = {name: nbformat.reads(seal.notebook(name).decode(), as_version=4) for name in seal.notebooks}
    with open_gradebook(course) as gradebook:
        assignment = gradebook.update_or_create_assignment(chapter)
        old = {notebook.name: notebook for notebook in assignment.notebooks}
        if assignment.submissions:
            changes = list(_changes(old, new))
            if changes and not migrate:
                raise CourseError(
                    f"{chapter} was not released: there are submissions, and {', '.join(changes)}. "
                    "To change the marks of those who handed in, pass --migrate; then run `autograde grade`"
                )
            for name in old.keys() & new.keys():
                _adapt(gradebook, old[name], new[name])
        for name in old.keys() - new.keys():
            gradebook.remove_notebook(name, chapter)
        for name, notebook in new.items():
            names = {"notebook": name, "assignment": chapter, "db_url": gradebook_url(course)}
            SaveCells(parent=course.api).preprocess(notebook, {"nbgrader": names})
        gradebook.db.expire_all()
        _complete(gradebook, assignment)


def _cells(notebook: NotebookNode) -> Cells:
    return {
        (kind, cell.metadata.nbgrader.grade_id): cell
        for cell in notebook.cells
        for kind, holds in _KINDS.items()
        if holds(cell)
    }


def _known(notebook: Notebook) -> dict[tuple[type, str], GradeCell | SolutionCell | TaskCell]:
    cells = [*notebook.grade_cells, *notebook.solution_cells, *notebook.task_cells]
    return {(type(cell), cell.name): cell for cell in cells}


def _changes(old: dict[str, Notebook], new: dict[str, NotebookNode]) -> Iterator[str]:
    """What a release would change for those who handed in, in words."""
    for name in sorted(old.keys() ^ new.keys()):
        yield f"the notebook {name} would be {'dropped' if name in old else 'added'}"
    for name in sorted(old.keys() & new.keys()):
        before, after = _known(old[name]), _cells(new[name])
        for cell in sorted({cell for _, cell in before.keys() ^ after.keys()}):
            yield f"{cell} would be {'added' if cell not in {known for _, known in before} else 'dropped or changed'}"
        for kind, cell in sorted(before.keys() & after.keys(), key=str):
            if kind is not SolutionCell:
                points, others = before[kind, cell].max_score, float(after[kind, cell].metadata.nbgrader.points)
                if points != others:
                    yield f"{cell} would be worth {others:g} instead of {points:g}"


def _adapt(gradebook: Gradebook, notebook: Notebook, new: NotebookNode) -> None:
    """Drop and add cells, so that nbgrader finds those that it is about to save."""
    db, known, wanted = gradebook.db, _known(notebook), _cells(new)
    for dropped in known.keys() - wanted.keys():
        for row in _ROWS[dropped[0]]:
            db.query(row).filter(row.cell_id == known[dropped].id).delete()
        db.delete(known[dropped])
    for kind, name in wanted.keys() - known.keys():
        cell = wanted[kind, name]
        graded = {"max_score": cell.metadata.nbgrader.get("points"), "cell_type": cell.cell_type}
        db.add(kind(name=name, notebook=notebook, **(graded if kind is not SolutionCell else {})))
    followed = {cell.metadata.nbgrader.grade_id: cell for cell in new.cells if _is_followed(cell)}
    for source in notebook.source_cells:
        if source.name not in followed:
            db.delete(source)
    for name in followed.keys() - {source.name for source in notebook.source_cells}:
        db.add(SourceCell(name=name, notebook=notebook, cell_type=followed[name].cell_type))
    db.commit()
    db.expire_all()


def _is_followed(cell: NotebookNode) -> bool:
    return bool(utils.is_locked(cell) or any(holds(cell) for holds in _KINDS.values()))


def _complete(gradebook: Gradebook, assignment: Assignment) -> None:
    """Give every submission the rows that it lacks."""
    db = gradebook.db
    for submission in assignment.submissions:
        handed_in = {row.notebook_id for row in submission.notebooks}
        for notebook in assignment.notebooks:
            if notebook.id not in handed_in:
                db.add(SubmittedNotebook(notebook=notebook, assignment=submission))
    db.commit()
    for notebook in assignment.notebooks:
        for submitted in notebook.submissions:
            for (kind, _), cell in _known(notebook).items():
                for row in _ROWS[kind]:
                    if not db.query(row).filter(row.cell_id == cell.id, row.notebook_id == submitted.id).count():
                        db.add(row(cell_id=cell.id, notebook_id=submitted.id))
    db.commit()
