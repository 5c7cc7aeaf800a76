"""Cells and outputs by the rules of nbgrader and nbformat, without their cost.

To import nbgrader would take each worker 0.5 s, and nbformat validates every output, which takes long.
"""

from __future__ import annotations

from typing import Any

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


def grade_id(cell: NotebookNode) -> str:
    """The name that nbgrader knows a cell by; empty where it has none."""
    return str(_facts(cell).get("grade_id", ""))


def new_output(kind: str, **fields: Any) -> NotebookNode:
    """nbformat's new_output without its validation: what is made here is valid."""
    return NotebookNode(output_type=kind, **fields)


def error_output(name: str, text: str) -> NotebookNode:
    """What a cell shows where the grader raises an error in its place."""
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


def _facts(cell: NotebookNode) -> dict[str, object]:
    facts: dict[str, object] = cell.metadata.get("nbgrader", {})
    return facts
