"""What a mark says: points, and one message that helps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    RIGHT = "right"
    PARTLY = "partly"  # a function that passes some of its checks
    SLIP = "slip"  # a wrong answer that the key knows by name
    WRONG = "wrong"
    FORM = "form"  # not a number, not an option, not a function
    BLANK = "blank"  # the dots are still there
    LOST = "lost"  # no answer arrived: the kernel died, the cell failed, the file was unreadable


@dataclass(frozen=True)
class Verdict:
    exercise: str  # id
    status: Status
    points: float
    out_of: float  # points
    message: str
    slip: str = ""  # the slip's name, where status is SLIP (or PARTLY)

    @property
    def mark(self) -> str:
        """One sign for the eye; the words beside it say the same."""
        return {Status.RIGHT: "✓", Status.PARTLY: "◐", Status.BLANK: "…"}.get(self.status, "✗")

    def as_data(self) -> dict[str, Any]:
        return asdict(self)
