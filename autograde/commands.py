"""What each command does. `autograde.cli` reads the command line, and imports this, which takes a while, after that."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from autograde import lean  # noqa: F401  # isort: skip  # first: what follows imports jsonschema
from tqdm import tqdm

from autograde import authoring, release, report, simulate
from autograde.course import Course, CourseError, succeed
from autograde.exercises import BadKey
from autograde.grading import Graded, grade
from autograde.sandbox import view
from autograde.watch import Watch

_SILENCE = 60  # seconds in which nothing arrives, before `grade` says what it waits for


def run(options: argparse.Namespace) -> int:
    """Run the command that was chosen, in the course that the working folder lies in; returns its exit status."""
    command: Callable[[Course, argparse.Namespace], int] = COMMANDS[options.command]
    try:
        return command(Course.find(Path.cwd()), options)
    except (CourseError, BadKey, view.SandboxError) as error:
        print(f"autograde: {error}", file=sys.stderr)
        return 1


def _graded_chapters(course: Course, names: list[str]) -> list[str]:
    return [name for name in course.choose(names) if course.is_graded(name)]


def _weave(course: Course, options: argparse.Namespace) -> int:
    for name in course.choose(options.chapters):
        authoring.weave_chapter(course, name, options.execute)
        print(f"{name}: {'woven and run' if options.execute else 'woven'}")
    return 0


def _release(course: Course, options: argparse.Namespace) -> int:
    if options.check:
        found = release.differences(course)
        for line in found:
            print(f"autograde: {line}", file=sys.stderr)
        if found:
            print("autograde: run `autograde release` and commit what it changes", file=sys.stderr)
        else:
            print("chapters/ equals a fresh release of solutions/")
        return int(bool(found))
    for name in release.release(course, options.chapters, options.feedback, options.variants, options.force):
        print(f"{name}: released to {course.released.name}/{name}")
    return 0


def _simulate(course: Course, options: argparse.Namespace) -> int:
    for name in _graded_chapters(course, options.chapters):
        group = simulate.simulate(course, name, options.count, options.seed)
        print(f"{name}: {len(group)} simulated submissions in {course.submitted.relative_to(course.root)}/")
    return 0


def _grade(course: Course, options: argparse.Namespace) -> int:
    failures: list[Graded] = []
    if options.no_sandbox:
        course.config.Limits.sandbox = False
    elif not options.scheduler:
        view.check(course.solutions, course.submitted.parent)
    for name in _graded_chapters(course, options.chapters):
        handed_in = options.student or list(course.submissions(name))
        if not handed_in:
            print(f"{name}: nothing is handed in yet")
            continue
        watch = Watch(_SILENCE, partial(tqdm.write, file=sys.stderr), options.verbose)
        arriving = grade(course, name, options.student, options.regrade, options.jobs, options.scheduler, watch)
        results = sorted(tqdm(arriving, total=len(handed_in), desc=name, unit="submission"), key=lambda g: g.student)
        print(report.table(results))
        failures += [graded for graded in results if graded.failure]
    return int(bool(failures))


def _feedback(course: Course, options: argparse.Namespace) -> int:
    failures: list[CourseError] = []  # of one page, which keeps no other from being written
    for name in _graded_chapters(course, options.chapters):
        results = report.gather(course, name)
        before = len(failures)
        for graded in tqdm(results, desc=f"{name} feedback"):
            done = course.api.generate_feedback(name, graded.student, force=True)
            try:
                succeed(done, f"feedback for {graded.student}")
            except CourseError as error:
                failures.append(error)
        written = len(results) - len(failures) + before
        print(f"{name}: {written} feedback pages in {course.feedback.relative_to(course.root)}/")
    for failure in failures:
        print(f"autograde: {failure}", file=sys.stderr)
    return int(bool(failures))


def _report(course: Course, options: argparse.Namespace) -> int:
    chapters = _graded_chapters(course, options.chapters)
    for name in chapters:
        print(f"{name}\n{report.table(report.gather(course, name))}")
    print(f"report: {report.write_report(course, chapters)}")
    return 0


COMMANDS = {
    "weave": _weave,
    "release": _release,
    "simulate": _simulate,
    "grade": _grade,
    "feedback": _feedback,
    "report": _report,
}
