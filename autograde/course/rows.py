"""A graded notebook's marks as rows of the gradebook, by nbgrader's rules: for its own commands and for ours."""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import BaseCell, Comment, Grade, Gradebook, SubmittedNotebook

from autograde.engine.execute import OPEN
from autograde.engine.nbgrader_tests import LOOK, marked
from autograde.engine.verdict_cell import read_verdict
from autograde.exercises.verdict import Status, Verdict

NO_RESPONSE = "No response."  # nbgrader's automatic comment on an answer that is as it was released
BY_HAND = "by hand"  # the status of what waits for a teacher's mark


def sign(status: str) -> str:
    """One character for a status, in reports and on feedback pages; ✗ for all that is not right."""
    signs = {Status.RIGHT: "✓", Status.PARTLY: "◐", Status.BLANK: "…", Status.LOST: "!", BY_HAND: "✎"}
    return signs.get(status, "✗")


def doubts(notebook: NotebookNode) -> list[str]:
    """What a teacher should look at in a graded notebook."""
    odd = [reason for cell in notebook.cells if utils.is_grade(cell) and (reason := marked(cell)[1])]
    return [*notebook.metadata.get("autograde", {}).get(LOOK, []), *odd]


def write_rows(gradebook: Gradebook, submitted: SubmittedNotebook, notebook: NotebookNode) -> None:
    """A graded notebook's scores and comments into their rows, by nbgrader's rules; the caller commits."""
    grades, comments = _rows(gradebook, Grade, submitted.id), _rows(gradebook, Comment, submitted.id)
    look = bool(doubts(notebook))
    submitted.flagged = bool(submitted.flagged) or look
    about = notebook.metadata.get("autograde", {})
    failed = bool(about.get("failure")) and not about.get("unsettled")  # nothing of what was handed in is here
    for cell in notebook.cells:
        if utils.is_grade(cell):
            grade = grades[cell.metadata.nbgrader.grade_id]
            grade.auto_score, _ = marked(cell)
            by_hand = grade.manual_score is not None or grade.auto_score is None
            grade.needs_manual_grade = by_hand or (look and read_verdict(cell) is None)
        elif utils.is_task(cell) and failed:  # as nbgrader does where a notebook is missing
            grade = grades[cell.metadata.nbgrader.grade_id]
            grade.auto_score, grade.needs_manual_grade = 0, grade.manual_score is not None
        if utils.is_solution(cell) or utils.is_task(cell):
            same = cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
            comment = comments[cell.metadata.nbgrader.grade_id]
            silent = same and not failed and not utils.is_task(cell)
            comment.auto_comment = remark(NO_RESPONSE if silent else None, notebook)


def read_result(cell: NotebookNode) -> dict[str, Any] | None:
    """What a graded cell earned: its verdict, or nbgrader's own score in the same form; None for other cells."""
    verdict = read_verdict(cell)
    if verdict is not None or not (utils.is_grade(cell) or utils.is_task(cell)):
        return verdict
    out_of = float(cell.metadata.nbgrader.points)
    score = marked(cell)[0] if utils.is_grade(cell) else None
    status = Status.PARTLY if score else Status.WRONG
    if score is None or score >= out_of:
        status = Status.RIGHT
    message = _error(cell) if status == Status.WRONG else ""
    data = Verdict(cell.metadata.nbgrader.grade_id, status, score or 0.0, out_of, message).as_data()
    return data | ({"status": BY_HAND} if score is None else {})


def _error(cell: NotebookNode) -> str:
    """The last line of a test's error."""
    errors = (output for output in cell.get("outputs", []) if output.output_type == "error")
    return next((f"{error.ename}: {error.evalue}".strip()[:300] for error in errors), NO_RESPONSE)


def _rows(gradebook: Gradebook, kind: Any, submitted_id: str) -> dict[str, Any]:
    """A submitted notebook's grades or comments, by the name of their cell."""
    pairs = gradebook.db.query(BaseCell.name, kind).join(kind, kind.cell_id == BaseCell.id)
    return dict(pairs.filter(kind.notebook_id == submitted_id).all())


def remark(comment: str | None, notebook: NotebookNode) -> str | None:
    """The gradebook's comment on an answer, and that it was graded without a sandbox, where it was."""
    is_open = OPEN in notebook.metadata.get("autograde", {}).get("notes", [])
    return " ".join(filter(None, [comment, OPEN])) if is_open else comment
