"""A verdict as the outputs of a graded cell: where nbgrader's gradebook, formgrader and feedback look for it."""

from __future__ import annotations

import html
import re
from typing import Any

from nbformat import NotebookNode

from autograde.engine.cells import new_output
from autograde.exercises.verdict import Status, Verdict, read_data

METADATA = "autograde"
# At least 4.1 to 1 against white and against JupyterLab's dark theme; the message keeps the theme's colour
_COLOURS = {Status.RIGHT: "#258a53", Status.PARTLY: "#9a6f00", Status.BLANK: "#777777"}
_WRONG = "#d63f3a"


def write_verdict(cell: NotebookNode, verdict: Verdict) -> None:
    """Replace whatever the cell shows by the message and the points.

    nbgrader reads the number as the cell's partial credit; the message beside it is for people.
    """
    points = f"{verdict.points:g} of {verdict.out_of:g} point{'s' * (verdict.out_of != 1)}"
    colour = _COLOURS.get(verdict.status, _WRONG)
    rich = f'<div><b style="color: {colour}">{verdict.mark} {points}.</b> {message_html(verdict.message)}</div>'
    plain = f"{verdict.mark} {points}. {verdict.message}"
    message = NotebookNode({"text/html": rich, "text/plain": plain})
    number = NotebookNode({"text/plain": repr(float(verdict.points))})
    cell.outputs = [
        new_output("display_data", data=message, metadata=NotebookNode({METADATA: verdict.as_data()})),
        new_output("execute_result", data=number, metadata=NotebookNode(), execution_count=None),
    ]


def read_verdict(cell: NotebookNode) -> dict[str, Any] | None:
    """What `write_verdict` wrote, or None for a cell that carries no verdict."""
    for output in cell.get("outputs", []):
        if METADATA in output.get("metadata", {}):
            return read_data(output.metadata[METADATA])
    return None


def message_html(message: str) -> str:
    """The message's `code` marks as HTML; everything else is text."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(message))
