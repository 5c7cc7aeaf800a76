"""One file a command of `autograde`.

A command's docstring is its help. `add_arguments(parser)` declares what it takes, and `run(options)` does the work and
returns the exit status. Only `run` imports what takes a while, so that `--help` answers at once. A new command is one
file here and its name in `COMMANDS`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

# in the order of `autograde --help`
COMMANDS = [
    *("weave", "release", "simulate", "due", "extend", "collect"),
    *("grade", "feedback", "report", "export", "doctor"),
]
PUBLIC = {"weave", "release"}  # what these write is for others to read; what the rest writes is the teacher's alone
NAMED = "such as 01-patch-grid, or as much of the name as no other chapter has: 01"
NOTHING_GRADED = "nothing is graded yet: run `autograde grade` first"


def add_chapters(parser: argparse.ArgumentParser) -> None:
    """The argument that most commands share."""
    parser.add_argument("chapters", nargs="*", help=f"chapters, {NAMED}; all by default")


def report_problems(problems: Iterable[str]) -> int:
    """Print what is wrong, each line once, to standard error; the exit status: 1 if anything is."""
    lines = list(dict.fromkeys(problems))
    for line in lines:
        print(f"autograde: {line}", file=sys.stderr)
    return int(bool(lines))
