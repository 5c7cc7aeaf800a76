"""What `autograde doctor` looks for: what leaks, what this machine lacks, and what is set but unused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, and the one thing to do about it."""

    what: str
    fix: str  # what to do about it
    serious: bool = True  # it must be fixed; otherwise it is good to know
