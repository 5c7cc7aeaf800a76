"""Make chapters/ from solutions/."""

from __future__ import annotations

import argparse

from autograde.commands import add_chapters, report_problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where chapters/ is out of date")
    parser.add_argument(
        "--feedback",
        choices=("full", "check", "form"),
        help="check: no worked solutions go out; form: no answer hashes either; later releases keep it",
    )
    parser.add_argument(
        "--variants",
        action=argparse.BooleanOptionalAction,
        help="give every student numbers of their own; later releases keep it",
    )
    parser.add_argument("--force", action="store_true", help="overwrite a released chapter that someone worked in")
    parser.add_argument(
        "--migrate", action="store_true", help="exercises may come, go or change points while there are submissions"
    )


def run(options: argparse.Namespace) -> int:
    from autograde.course.course import Course
    from autograde.course.release import differences, release

    course = Course.find()
    if options.check:
        if found := differences(course):
            return report_problems([*found, "run `autograde release` and commit what it changes"])
        print("chapters/ equals a fresh release of solutions/")
        return 0
    for name in release(course, options.chapters, options.feedback, options.variants, options.force, options.migrate):
        print(f"{name}: released to {course.released.name}/{name}")
    return 0
