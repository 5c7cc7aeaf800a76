"""Write the class report and marks.csv."""

from __future__ import annotations

import argparse

from autograde.commands import NOTHING_GRADED, add_chapters, report_problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)


def run(options: argparse.Namespace) -> int:
    from autograde.course.course import Course
    from autograde.course.gradebook import refresh_times
    from autograde.course.marks import read_marks
    from autograde.course.report import table, write_report

    course = Course.find()
    chapters = course.choose_graded(options.chapters)
    problems = course.unreadable
    graded = False
    for name in chapters:
        problems += refresh_times(course, name)
        if marks := read_marks(course, name):
            graded = True
            print(f"{name}\n{table(marks)}")
    if not graded:
        print(NOTHING_GRADED)
    print(f"report: {write_report(course, chapters)}")
    return report_problems(problems)
