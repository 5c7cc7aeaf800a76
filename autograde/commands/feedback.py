"""Write each student's feedback page."""

from __future__ import annotations

import argparse
import sys

from autograde.commands import add_chapters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)


def run(options: argparse.Namespace) -> int:
    from autograde.engine import lean  # noqa: F401  # isort: skip  # first: what follows imports jsonschema
    from tqdm import tqdm

    from autograde.course.course import Course, CourseError
    from autograde.course.feedback import write_feedback
    from autograde.course.report import gather

    course = Course.find()
    failures: list[CourseError] = []  # of one page, which keeps no other from being written
    for name in course.choose_graded(options.chapters):
        results = gather(course, name)
        before = len(failures)
        for graded in tqdm(results, desc=f"{name} feedback"):
            try:
                write_feedback(course, name, graded.student)
            except CourseError as error:
                failures.append(error)
        written = len(results) - len(failures) + before
        print(f"{name}: {written} feedback pages in {course.feedback.relative_to(course.root)}/")
    for failure in failures:
        print(f"autograde: {failure}", file=sys.stderr)
    return int(bool(failures))
