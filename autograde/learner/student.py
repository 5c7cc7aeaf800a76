"""Who is working in this notebook, and the exercise as it is put to them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from autograde.answers.names import SIGNED_IN, clean, normal
from autograde.answers.sheet import full_name, pick, read_sheet

_signed_in = ""  # lives as long as the kernel


class CheckFailed(AssertionError):
    """Stops the cell with a message for its reader; notebooks show the message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def student_id(typed: object) -> str:
    """Who works here: on a hub the name there, which nbgrader files under, else what was typed.

    Raises:
        CheckFailed: the dots are still there, or it is not text.
    """
    name = os.environ.get("JUPYTERHUB_USER") or typed
    if not isinstance(name, str) or clean(name) in ("", "..."):
        raise CheckFailed("✗ your student id is missing: put it between the quotes and run this cell again")
    return clean(name)


def sign_in(student: str = "...") -> None:
    """Say who you are, where a course gives everyone numbers of their own. On a hub your name there counts.

    Raises:
        CheckFailed: the dots are still there, or it is not text.
    """
    global _signed_in
    _signed_in = student_id(student)
    text = f"Signed in as {_signed_in}. Your numbers and marks depend on this name."
    if not isinstance(student, str) or normal(student) not in ("", "...", normal(_signed_in)):
        text += f" It is your name on this hub; {student!r} is not used."
    _show(text, {SIGNED_IN: _signed_in})


def _show(text: str, metadata: dict[str, str]) -> None:
    """Show a text with `metadata`, which a saved notebook keeps: the grader reads there whose numbers it has."""
    from IPython.core.getipython import get_ipython

    if get_ipython() is None:
        print(text)
    else:
        from IPython.display import display

        display({"text/plain": text}, raw=True, metadata=metadata)


def entry_for(exercise_id: str) -> dict[str, Any]:
    """The exercise's entry in the sheet beside the notebook, with the numbers of whoever is signed in.

    Beside a key, where the notebook holds the answers, the numbers are the book's own.

    Raises:
        CheckFailed: there is no sheet or no such exercise, or it varies and nobody is signed in.
    """
    try:
        sheet = read_sheet(Path.cwd())
    except (OSError, ValueError) as error:
        raise CheckFailed(f"✗ {error}") from None
    entry: dict[str, Any] | None = sheet["exercises"].get(exercise_id)
    if entry is None:
        known = ", ".join(sheet["exercises"])
        raise CheckFailed(f"✗ this chapter has no exercise {exercise_id!r}; it has {known}")
    if "variants" not in entry or Path("key.py").exists():
        return entry
    if not _signed_in:
        raise CheckFailed("✗ your numbers depend on who you are: run the cell with sign_in at the top first")
    chosen = pick(full_name(sheet["course"], _signed_in), exercise_id, len(entry["variants"]))
    return entry | entry["variants"][chosen]
