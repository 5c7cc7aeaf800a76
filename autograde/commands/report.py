"""Write the class report and marks.csv."""

from __future__ import annotations

import argparse

from autograde.commands import add_chapters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)


def run(options: argparse.Namespace) -> int:
    from autograde.course.course import Course
    from autograde.course.report import gather, table, write_report

    course = Course.find()
    chapters = course.choose_graded(options.chapters)
    for name in chapters:
        print(f"{name}\n{table(gather(course, name))}")
    print(f"report: {write_report(course, chapters)}")
    return 0
