"""nbgrader's own commands: their result, or their reason."""

from __future__ import annotations

import re
from typing import Any

from autograde.course.settings import CourseError

_REASON = re.compile(r"^ *(?:[\w.]+\.)?\w*(?:Error|Exception|Entry|Interrupt|BadKey): (.+)$", re.MULTILINE)
_EMPTY = "Please see the"  # how nbgrader's last line begins: it refers to a log that was not kept


def succeed(result: dict[str, Any], what: str) -> None:
    """Check one result of nbgrader's API.

    Raises:
        CourseError: it failed; the text carries nbgrader's own reason.
    """
    if not result["success"]:
        text = "\n".join(result.get(part) or "" for part in ("log", "error"))
        reasons = [reason for reason in _REASON.findall(text) if not reason.startswith(_EMPTY)]
        lines = reasons or text.strip().splitlines() or ["no reason given"]
        raise CourseError(f"{what}: {lines[-1]}")
