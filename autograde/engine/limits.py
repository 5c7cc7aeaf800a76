"""What a submission may use: `c.Limits` in nbgrader_config.py."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Times, memory and files of one submission.

    Errors: ValueError for a value of another type, and for one below the least that makes sense.
    """

    cell_seconds: float = 30.0  # for one cell, or for one exercise's answer
    notebook_seconds: float = 300.0  # for the whole notebook
    overtime: float = 300.0  # seconds beyond that: half to run the rest again after an accident; then it is given up
    memory: int = 2048  # MiB, for each process beyond what it starts with, and for all of them together
    processes: int = 64  # processes and threads
    scratch: int = 256  # MiB of files
    sandbox: bool = True  # without it learners' code has the grader's privileges and no limits

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name in ("notebook_seconds", "sandbox") else 1
            whole = not isinstance(field.default, float)
            if not isinstance(value, int if whole else (int, float)) or not least <= value < math.inf:
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"{field.name} is {value!r}: expected {kind}, {least} or more")
