"""Who is working in this notebook, and the exercise as it is put to them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from autograde.answers.sheet import full_name, pick, read_sheet

_signed_in = ""  # lives as long as the kernel


class CheckFailed(AssertionError):
    """Stops the cell with a message for its reader; notebooks show the message alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def sign_in(student: str = "...") -> None:
    """Say who you are, where a course gives everyone numbers of their own. On a hub your name there counts.

    Raises:
        CheckFailed: the dots are still there, or it is no text.
    """
    global _signed_in
    name = os.environ.get("JUPYTERHUB_USER", student)
    if not isinstance(name, str) or name.strip() in ("", "..."):
        raise CheckFailed("✗ your student id is missing: put it between the quotes and run this cell again")
    _signed_in = name.strip()
    print(f"Signed in as {_signed_in}. Your numbers and marks depend on this name.")


def entry_for(exercise_id: str) -> dict[str, Any]:
    """The exercise's entry in the sheet beside the notebook, with the numbers of whoever is signed in.

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
    if "variants" not in entry:
        return entry
    if not _signed_in:
        raise CheckFailed("✗ your numbers depend on who you are: run the cell with sign_in at the top first")
    chosen = pick(full_name(sheet["course"], _signed_in), exercise_id, len(entry["variants"]))
    return entry | entry["variants"][chosen]
