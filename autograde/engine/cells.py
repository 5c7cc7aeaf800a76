"""What nbgrader's metadata say of a cell, by its rules; to import nbgrader for them would take each worker 0.5 s."""

from __future__ import annotations

from nbformat import NotebookNode


def is_grade(cell: NotebookNode) -> bool:
    """Whether a cell earns points."""
    return bool(_facts(cell).get("grade"))


def is_solution(cell: NotebookNode) -> bool:
    """Whether a cell is an answer, which the learner writes."""
    return bool(_facts(cell).get("solution"))


def is_locked(cell: NotebookNode) -> bool:
    """Whether a cell is the release's, whatever is handed in."""
    return not is_solution(cell) and (is_grade(cell) or bool(_facts(cell).get("locked")))


def _facts(cell: NotebookNode) -> dict[str, object]:
    facts: dict[str, object] = cell.metadata.get("nbgrader", {})
    return facts
