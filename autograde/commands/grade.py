"""Grade what is new or changed among the submissions."""

from __future__ import annotations

import argparse
import os

from autograde.commands import add_chapters
from autograde.engine.warm import warm_up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)
    parser.add_argument("--student", action="append", default=[], help="only this student; may be repeated")
    parser.add_argument("--regrade", action="store_true", help="grade again what has not changed, too")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, help="worker processes; all cores by default")
    parser.add_argument("--scheduler", default="", metavar="ADDRESS", help="a running dask scheduler instead of --jobs")
    parser.add_argument(
        "--no-sandbox",
        action="store_true",
        help="where this machine cannot sandbox: run learners' code with your privileges, and say so in each notebook",
    )


def run(options: argparse.Namespace) -> int:
    if options.jobs and not options.scheduler:
        warm_up()  # while this process imports the rest

    from autograde.engine import lean  # noqa: F401  # isort: skip  # first: what follows imports jsonschema
    from tqdm import tqdm

    from autograde.course.course import Course
    from autograde.course.grading import Graded, grade
    from autograde.course.report import table
    from autograde.sandbox import view

    course = Course.find()
    failures: list[Graded] = []
    if options.no_sandbox:
        course.config.Limits.sandbox = False
    elif not options.scheduler:
        view.check(course.solutions, course.submitted.parent)
    for name in course.choose_graded(options.chapters):
        handed_in = options.student or list(course.submissions(name))
        if not handed_in:
            print(f"{name}: nothing is handed in yet")
            continue
        arriving = grade(course, name, options.student, options.regrade, options.jobs, options.scheduler)
        results = sorted(tqdm(arriving, total=len(handed_in), desc=name, unit="submission"), key=lambda g: g.student)
        print(table(results))
        failures += [graded for graded in results if graded.failure]
    return int(bool(failures))
