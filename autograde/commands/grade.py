"""Grade what is new or changed among the submissions."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from autograde.commands import add_chapters, report_problems
from autograde.engine.warm import warm_up

SILENCE = 60  # seconds in which nothing arrives, before it says what it is waiting for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)
    parser.add_argument("--student", action="append", default=[], help="only this student; may be repeated")
    parser.add_argument("--regrade", action="store_true", help="grade again what has not changed, too")
    parser.add_argument("--verbose", action="store_true", help="while nothing arrives, say what each worker does")
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
    from autograde.course.database import GradebookLocked
    from autograde.course.gradebook import refresh_times
    from autograde.course.grading import grade
    from autograde.course.marks import not_graded, read_marks
    from autograde.course.report import table
    from autograde.engine.watch import Watch
    from autograde.errors import AutogradeError
    from autograde.sandbox import view

    course = Course.find()
    problems = course.unreadable
    if options.no_sandbox:
        course.config.Limits.sandbox = False
    elif not options.scheduler:
        view.check(course.solutions, course.submitted.parent)
    problems += [f"{path} in submitted/ is in no chapter's folder and was not graded" for path in course.strays]
    named = course.choose(options.chapters) if options.chapters else []
    handed_in = {name: list(course.submissions(name)) for name in course.choose_graded(named)}
    for name in named:
        if name not in handed_in:
            print(f"{name}: none of its cells is graded")
    wanted, unknown = _wanted(handed_in, options.student)
    problems += [f"{student} handed in no {' and no '.join(named) or 'chapter'}{near}" for student, near in unknown]
    for name, students in wanted.items():
        if not students:
            print(f"{name}: nothing is handed in yet")
            continue
        try:
            watch = Watch(SILENCE, partial(tqdm.write, file=sys.stderr), options.verbose)
            arriving = grade(course, name, students, options.regrade, options.jobs, options.scheduler, watch)
            results = {one.student: one for one in tqdm(arriving, total=len(students), desc=name, unit="submission")}
            problems += refresh_times(course, name)
            entered = {marks.student: marks for marks in read_marks(course, name, results)}
            failed = {student: not_graded(one) for student, one in results.items() if one.failure}
            print(table([(entered | failed)[student] for student in sorted(results)]))
            problems += [f"{student}, {name}: {marks.failure}" for student, marks in failed.items()]
            if changed := course.seal(name).changed(course.released / name):
                differing = f"in {course.released.name}/ {', '.join(changed)} differs"
                print(f"{name}: graded against the sealed release; {differing}")
        except GradebookLocked:
            raise
        except AutogradeError as error:  # of this chapter; the next one is graded all the same
            problems.append(str(error))
    return report_problems(problems)


def _wanted(handed_in: dict[str, list[str]], named: list[str]) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Whom to grade, by chapter: everybody, or those named, and then only what they handed in.

    Those named who handed nothing in come second, each with a hint at whom that name may mean.
    """
    from autograde.authoring.key import nearest
    from autograde.course.people import as_known

    if not named:
        return handed_in, []
    known = sorted(set().union(*handed_in.values()))
    chosen = dict.fromkeys(as_known(student, known) for student in named)
    wanted = {name: [student for student in chosen if student in students] for name, students in handed_in.items()}
    unknown = [(student, nearest(student, known)) for student in chosen if student not in known]
    return {name: students for name, students in wanted.items() if students}, unknown
