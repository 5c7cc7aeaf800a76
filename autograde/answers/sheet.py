"""exercises.json: what a learner's `check` knows of a chapter.

For each answer that the key knows, right or wrong, the sheet holds a salted digest of the answer and a text that only
this answer unlocks. A small answer can be found by trying, and the worked solution is hidden, not kept secret: both
are for self-study. A course whose marks count releases with `--feedback form`, which leaves them out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autograde.answers.names import normal

FILE_NAME = "exercises.json"
SOLUTION = "worked solution"  # locks a worked solution: it is hidden from the eye, not kept secret
RIGHT, WRONG = "✓", "✗"  # the first character of a reply


def digest(salt: str, canonical: Any) -> str:
    """32 hexadecimal digits for a canonical answer."""
    text = json.dumps(canonical, sort_keys=True)
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()[:32]


def lock(text: str, salt: str, canonical: Any) -> str:
    """`text`, readable only with the answer that it belongs to.

    >>> unlock(lock("✓ 14 × 14 = 196", "salt", 196), "salt", 196)
    '✓ 14 × 14 = 196'
    """
    return base64.b64encode(_mixed(text.encode(), salt, canonical)).decode("ascii")


def unlock(locked: str, salt: str, canonical: Any) -> str:
    return _mixed(base64.b64decode(locked), salt, canonical).decode()


def _mixed(data: bytes, salt: str, canonical: Any) -> bytes:
    """`data` XOR a stream of hashes of the salt and the answer; the same once more gives `data` back."""
    seed = f"lock\n{salt}\n{json.dumps(canonical, sort_keys=True)}".encode()
    stream = b"".join(hashlib.sha256(seed + b"%d" % block).digest() for block in range(len(data) // 32 + 1))
    return bytes(one ^ other for one, other in zip(data, stream, strict=False))


def make_replies(salt: str, replies: Iterable[tuple[Any, bool, str]]) -> dict[str, str]:
    """Replies as a sheet holds them, from (canonical answer, is it right, text); the first to an answer counts.

    They are sorted by digest, so their order does not give the right one away.
    """
    made: dict[str, str] = {}
    for canonical, right, text in replies:
        made.setdefault(digest(salt, canonical), lock(f"{RIGHT if right else WRONG}{text}", salt, canonical))
    return dict(sorted(made.items()))


def find_reply(entry: Mapping[str, Any], canonical: Any) -> tuple[bool, str] | None:
    """Whether an answer is right, and what is said to it; None where the key does not know it."""
    locked = entry.get("replies", {}).get(digest(entry["salt"], canonical))
    if locked is None:
        return None
    text = unlock(locked, entry["salt"], canonical)
    return text[0] == RIGHT, text[1:]


def full_name(course: str, student: str) -> str:
    """The name that, with the exercise, determines a student's variant: the same for every spelling of the id."""
    return f"{course}|{normal(student)}"


def pick(student: str, exercise_id: str, count: int) -> int:
    """Which of `count` variants a student gets: the same for `check` and for the grader, evenly spread."""
    return int.from_bytes(hashlib.sha256(f"{student}|{exercise_id}".encode()).digest()) % count


def read_sheet(folder: Path) -> dict[str, Any]:
    """The sheet beside a notebook.

    Raises:
        FileNotFoundError, ValueError: it is not there, or is not a sheet; the text says what to do.
    """
    path = folder / FILE_NAME
    try:
        sheet = json.loads(path.read_text(encoding="utf-8"))
        sheet["exercises"]  # a file of that name without exercises is not a sheet
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{FILE_NAME} is not in this notebook's folder: fetch the whole chapter folder, not the notebook alone"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{FILE_NAME} beside this notebook is damaged: fetch the chapter again") from None
    return sheet
