"""File what a learning platform handed out: a ZIP or a folder of submissions.

Takes the names of Moodle, Canvas, Blackboard and ILIAS, or a folder a learner, and says what it took for whom. A newer
submission is never overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autograde.commands import NAMED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, metavar="ZIP_OR_FOLDER", help="as the platform gave it")
    parser.add_argument("--chapter", default="", metavar="NAME", help=f"a chapter, {NAMED}; where files do not say it")
    parser.add_argument(
        "--roster", type=Path, metavar="FILE", help="the class list as CSV: which name or number is who"
    )


def run(options: argparse.Namespace) -> int:
    import sys

    from autograde.course.archive import open_archive
    from autograde.course.collect import collect
    from autograde.course.course import Course
    from autograde.course.handed_in import ARCHIVES, is_notebook
    from autograde.course.roster import read_roster
    from autograde.course.uploads import read_uploads

    course = Course.find()
    chapter = course.choose([options.chapter])[0] if options.chapter else ""
    roster = read_roster(options.roster) if options.roster else None
    with open_archive(options.archive) as entries:
        platform, sent, strays = read_uploads(entries, course.chapters)
        taken = collect(course, sent, chapter, roster)
    print(f"{options.archive}: named as {platform or 'folders of learners'}, {len(taken)} learners")
    for one in sorted(taken, key=lambda one: one.student):
        who = one.student if one.student == one.sender else f"{one.student} (there: {one.sender})"
        print(f"{who}: {one.what}", file=sys.stderr if one.wrong else sys.stdout)
    lost = [entry.path for entry in strays if is_notebook(entry.path.name) or entry.path.suffix.lower() in ARCHIVES]
    for entry in strays:
        print(f"autograde: {entry.path} belongs to no learner and was not taken", file=sys.stderr)
    return int(bool(lost) or any(one.wrong for one in taken))
