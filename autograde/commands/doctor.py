"""Look for what leaks, what this machine lacks, and what is set but unused.

Says what to do about each in a line. Ends with status 1 if something must be fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autograde.doctor import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> int:
    found = list(_look())
    for finding in sorted(found, key=lambda finding: not finding.serious):
        print(f"{'✗' if finding.serious else '·'} {finding.what}\n    {finding.fix}")
    serious = sum(finding.serious for finding in found)
    if not found:
        print("✓ nothing leaks, nothing is missing, every setting is read")
    elif serious:
        print(f"{serious} to fix" + f", {len(found) - serious} good to know" * (serious < len(found)))
    else:
        print("✓ nothing must be fixed")
    return int(serious > 0)


def _look() -> Iterator[Finding]:
    """Every finding; what a part cannot look at is one itself."""
    from autograde.doctor import machine

    missing = list(machine.packages())
    yield from missing
    if missing:
        return  # nothing below can be looked at

    from pathlib import Path
    from tempfile import gettempdir

    from autograde.course.course import Course
    from autograde.course.database import gradebook_file
    from autograde.doctor import leaks, unused

    course = Course.find()
    run = course.submitted.parent
    yield from unused.unused(course.config)
    yield from machine.sandbox(bool(course.config.get("Limits", {}).get("sandbox", True)), course.solutions, run)
    written = (course.submitted, course.autograded, course.feedback, course.results.folder, course.seal("").folder)
    database = gradebook_file(course)
    yield from machine.writable(run, *filter(None, [database]), *written, course.released, course.solutions)
    yield from machine.storage(str(course.api.coursedir.db_url), run, Path(gettempdir()))
    yield from machine.exchange(leaks.exchange_root(course))
    yield from machine.extensions()
    yield from leaks.leaks(course)
    if (course.root / "tests" / "browser").is_dir():
        yield from machine.for_tests()
