"""Write the class report and marks.csv."""

from __future__ import annotations

import argparse

from autograde.commands import NOTHING_GRADED, add_chapters, report_problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)


def run(options: argparse.Namespace) -> int:
    from autograde.course.course import Course
    from autograde.course.database import GradebookLocked
    from autograde.course.gradebook import refresh_times
    from autograde.course.report import read_chapter, table, write_report
    from autograde.errors import AutogradeError

    course = Course.find()
    problems, left_out, read = course.unreadable, list[str](), []
    for name in course.choose_graded(options.chapters):
        try:
            problems += refresh_times(course, name)
            read.append(chapter := read_chapter(course, name))
        except GradebookLocked:
            raise
        except AutogradeError as error:  # of this chapter; the others are reported all the same
            left_out.append(str(error))
            continue
        if chapter["results"]:
            print(f"{name}\n{table(chapter['results'])}")
    if read or not left_out:  # else the last report stays
        if not any(chapter["results"] for chapter in read):
            print(NOTHING_GRADED)
        print(f"report: {write_report(course, read)}")
    return report_problems(problems + left_out)
