"""Hand in chapters for simulated students."""

from __future__ import annotations

import argparse

from autograde.commands import add_chapters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("count", type=_count, nargs="?", default=10, help="how many students; 10 by default")
    add_chapters(parser)
    parser.add_argument("--seed", type=int, default=0)


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 9999):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of students: expected 0 to 9999")
    return int(text)


def run(options: argparse.Namespace) -> int:
    from autograde.course.course import Course
    from autograde.course.simulate import simulate

    course = Course.find()
    chapters = course.choose(options.chapters)
    if not any(map(course.has_key, chapters)):
        print("no chapter has a key: there are no answers to simulate")
    for name in filter(course.has_key, chapters):
        group = simulate(course, name, options.count, options.seed)
        print(f"{name}: {len(group)} simulated submissions in {course.submitted.relative_to(course.root)}/")
    return 0
