"""What a mark says: points, and one message that helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    RIGHT = "right"
    PARTLY = "partly"  # a function that passes some of its checks
    MISCONCEPTION = "misconception"  # a wrong answer that the key knows by name
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
    misconception: str = ""  # the misconception's name, where status is MISCONCEPTION (or PARTLY)

    @property
    def mark(self) -> str:
        """One sign for the eye; the words beside it say the same."""
        return {Status.RIGHT: "✓", Status.PARTLY: "◐", Status.BLANK: "…"}.get(self.status, "✗")

    def as_data(self) -> dict[str, Any]:
        """Plain data for the cell's metadata."""
        return asdict(self)


def read_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """What `Verdict.as_data` gave, with the names of today: a misconception was called a slip once."""
    read = dict(data)
    if "slip" in read:
        read["misconception"] = read.pop("slip")
    if read.get("status") == "slip":
        read["status"] = Status.MISCONCEPTION.value
    return read
