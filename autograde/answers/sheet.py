"""exercises.json: what a learner's `check` knows of a chapter. No answer is in it, only salted digests.

The digest of a small answer can be found by trying: digests are for self-study. A course whose marks count
releases with `--feedback form`, which leaves them out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from autograde.answers.names import normal

FILE_NAME = "exercises.json"


def digest(salt: str, canonical: Any) -> str:
    """32 hexadecimal digits for a canonical answer."""
    text = json.dumps(canonical, sort_keys=True)
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()[:32]


def full_name(course: str, student: str) -> str:
    """What a student's numbers depend on, besides the exercise: the same for every spelling of the student id."""
    return f"{course}|{normal(student)}"


def pick(student: str, exercise_id: str, count: int) -> int:
    """Which of `count` variants a student gets: the same on both sides, evenly spread, with no secret in it."""
    return int.from_bytes(hashlib.sha256(f"{student}|{exercise_id}".encode()).digest()) % count


def read_sheet(folder: Path) -> dict[str, Any]:
    """The sheet beside a notebook.

    Raises:
        FileNotFoundError, ValueError: it is not there, or is no sheet; the text says what to do.
    """
    path = folder / FILE_NAME
    try:
        sheet = json.loads(path.read_text(encoding="utf-8"))
        sheet["exercises"]  # a file of that name without exercises is no sheet
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{FILE_NAME} is not in this notebook's folder: fetch the whole chapter folder, not the notebook alone"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{FILE_NAME} beside this notebook is damaged: fetch the chapter again") from None
    return sheet
