"""The `autograde` command: release, simulate, grade, feedback, report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from autograde.warm import warm_up


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 something is wrong and was named, 2 unusable arguments."""
    options = _parser().parse_args(arguments)
    if options.command == "grade" and options.jobs and not options.scheduler:
        warm_up()
    from autograde.commands import run  # --help answers at once, and a local worker that imports this waits for nothing

    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autograde", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def command(name: str, help_text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_text, description=help_text)
        sub.add_argument("chapters", nargs="*", help="chapter folders such as 01-patch-grid; all by default")
        return sub

    sub = command("weave", "write the key's exercises into the instructor notebook")
    sub.add_argument("--run", action="store_true", dest="execute", help="then execute it and store the outputs")
    sub = command("release", "make chapters/ from solutions/")
    sub.add_argument("--check", action="store_true", help="change nothing; fail where chapters/ is out of date")
    sub.add_argument("--feedback", choices=("full", "form"), default="full", help="form: no digests of answers go out")
    sub.add_argument("--variants", action="store_true", help="give every student numbers of their own")
    sub.add_argument("--force", action="store_true", help="overwrite a released chapter that someone worked in")
    sub = command("grade", "grade what is new or changed among the submissions")
    sub.add_argument("--student", action="append", default=[], help="only this student; may be repeated")
    sub.add_argument("--regrade", action="store_true", help="grade again what has not changed, too")
    sub.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="worker processes; all cores by default")
    sub.add_argument("--scheduler", default="", metavar="ADDRESS", help="a running dask scheduler, instead of --jobs")
    sub.add_argument("--verbose", action="store_true", help="where nothing arrives: what each worker is doing, too")
    sub.add_argument(
        "--no-sandbox",
        action="store_true",
        help="where this machine cannot sandbox: run learners' code with all your rights, and say so in each notebook",
    )
    command("feedback", "write each student's feedback page")
    command("report", "write the class report and marks.csv")
    sub = commands.add_parser("simulate", help="hand in chapters for a class that never was")
    sub.add_argument("count", type=int, help="how many students")
    sub.add_argument("chapters", nargs="*", help="chapter folders; all by default")
    sub.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
