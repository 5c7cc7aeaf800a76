"""Say or set when chapters are due."""

from __future__ import annotations

import argparse

from autograde.commands import NAMED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("chapter", nargs="?", help=f"a chapter, {NAMED}; all by default")
    parser.add_argument(
        "date", nargs="?", help="2026-12-01 (the end of that day), 2026-12-01T18:00, or none to take the due date away"
    )


def run(options: argparse.Namespace) -> int:
    from autograde.course import lateness
    from autograde.course.course import Course

    course = Course.find()
    chapters = course.choose([options.chapter]) if options.chapter else course.choose_graded([])
    if options.date is not None:
        when = None if options.date == "none" else lateness.read_date(options.date)
        lateness.set_due(course, chapters[0], when)
    for chapter in chapters:
        print(f"{chapter}: {lateness.shown(lateness.due(course, chapter))}")
    if options.date is not None:
        print("The next `autograde grade`, `report` or `export` brings the marks in line with it.")
    return 0
