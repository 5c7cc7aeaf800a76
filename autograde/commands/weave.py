"""Write the key's exercises into the instructor notebook."""

from __future__ import annotations

import argparse

from autograde.commands import add_chapters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)
    parser.add_argument("--run", action="store_true", dest="execute", help="then execute it and store the outputs")


def run(options: argparse.Namespace) -> int:
    from autograde.authoring.outputs import store_outputs
    from autograde.course.course import Course
    from autograde.course.release import weave_as_released

    course = Course.find()
    for name in course.choose(options.chapters):
        if course.has_key(name):
            weave_as_released(course, name)
        if options.execute:
            store_outputs(course.solutions / name)
        did = [*["woven"] * course.has_key(name), *["run"] * options.execute]
        print(f"{name}: {' and '.join(did) or 'nothing to weave without a key'}")
    return 0
