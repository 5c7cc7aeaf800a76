"""The `autograde` command: release, simulate, grade, feedback, report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from autograde import authoring, release, report, sandbox, simulate
from autograde.course import Course, CourseError, succeed
from autograde.exercises import BadKey
from autograde.grading import Graded, grade


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 something is wrong and was named, 2 unusable arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        run: Callable[[Course, argparse.Namespace], int] = options.run
        return run(Course.find(Path.cwd()), options)
    except (CourseError, BadKey, sandbox.SandboxError) as error:
        print(f"autograde: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autograde", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], help_text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_text, description=help_text)
        sub.set_defaults(run=run)
        sub.add_argument("chapters", nargs="*", help="chapter folders such as 01-patch-grid; all by default")
        return sub

    sub = command("weave", _weave, "write the key's exercises into the instructor notebook")
    sub.add_argument("--run", action="store_true", dest="execute", help="then execute it and store the outputs")
    sub = command("release", _release, "make chapters/ from solutions/")
    sub.add_argument("--check", action="store_true", help="change nothing; fail where chapters/ is out of date")
    sub.add_argument("--feedback", choices=("full", "form"), default="full", help="form: no digests of answers go out")
    sub.add_argument("--variants", action="store_true", help="give every student numbers of their own")
    sub.add_argument("--force", action="store_true", help="overwrite a released chapter that someone worked in")
    sub = command("grade", _grade, "grade what is new or changed among the submissions")
    sub.add_argument("--student", action="append", default=[], help="only this student; may be repeated")
    sub.add_argument("--regrade", action="store_true", help="grade again what has not changed, too")
    sub.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="worker processes; all cores by default")
    sub.add_argument("--scheduler", default="", metavar="ADDRESS", help="a running dask scheduler, instead of --jobs")
    sub.add_argument(
        "--no-sandbox",
        action="store_true",
        help="where this machine cannot sandbox: run learners' code with all your rights, and say so in each notebook",
    )
    command("feedback", _feedback, "write each student's feedback page")
    command("report", _report, "write the class report and marks.csv")
    sub = commands.add_parser("simulate", help="hand in chapters for a class that never was")
    sub.set_defaults(run=_simulate)
    sub.add_argument("count", type=int, help="how many students")
    sub.add_argument("chapters", nargs="*", help="chapter folders; all by default")
    sub.add_argument("--seed", type=int, default=0)
    return parser


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
        sandbox.check(course.solutions, course.submitted.parent)
    for name in _graded_chapters(course, options.chapters):
        handed_in = options.student or list(course.submissions(name))
        if not handed_in:
            print(f"{name}: nothing is handed in yet")
            continue
        arriving = grade(course, name, options.student, options.regrade, options.jobs, options.scheduler)
        results = sorted(tqdm(arriving, total=len(handed_in), desc=name, unit="submission"), key=lambda g: g.student)
        print(report.table(results))
        failures += [graded for graded in results if graded.failure]
    return int(bool(failures))


def _feedback(course: Course, options: argparse.Namespace) -> int:
    for name in _graded_chapters(course, options.chapters):
        results = report.gather(course, name)
        for graded in tqdm(results, desc=f"{name} feedback"):
            succeed(course.api.generate_feedback(name, graded.student, force=True), f"feedback for {graded.student}")
        print(f"{name}: {len(results)} feedback pages in {course.feedback.relative_to(course.root)}/")
    return 0


def _report(course: Course, options: argparse.Namespace) -> int:
    chapters = _graded_chapters(course, options.chapters)
    for name in chapters:
        print(f"{name}\n{report.table(report.gather(course, name))}")
    print(f"report: {report.write_report(course, chapters)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
