"""Write the marks for a spreadsheet, for Canvas or for Moodle.

One row per learner, one column per chapter. With a roster, the class list that the platform itself exports, each row
carries the ids, the e-mail address and the section by which the platform finds its learner.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autograde.commands import NOTHING_GRADED, add_chapters, report_problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)
    parser.add_argument("--to", choices=("csv", "canvas", "moodle"), default="csv", help="csv by default")
    parser.add_argument("--roster", type=Path, metavar="FILE", help="the class list as CSV, as the platform exports it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to; by default next to the gradebook")


def run(options: argparse.Namespace) -> int:
    from autograde.authoring.files import write_whole
    from autograde.course.course import Course, CourseError
    from autograde.course.export import read_table, rows_of
    from autograde.course.file_errors import require_writable
    from autograde.course.gradebook import refresh_times
    from autograde.course.roster import read_roster
    from autograde.course.tables import as_csv

    course = Course.find()
    roster = read_roster(options.roster) if options.roster else None
    chapters = course.choose(options.chapters)
    problems = course.unreadable + [problem for chapter in chapters for problem in refresh_times(course, chapter)]
    marks = read_table(course, chapters)
    if not marks.chapters:
        print(NOTHING_GRADED)
        return 0
    table, unknown = rows_of(marks, options.to, roster)
    path = options.out or course.submitted.parent / f"marks-{options.to}.csv"
    if path.is_dir() or not path.parent.is_dir():
        raise CourseError(f"{path} cannot be written: expected a file's name in a folder that is there")
    require_writable(path.parent)
    write_whole(path, as_csv(table).encode())
    learners = len(table) - (2 if options.to == "canvas" else 1)
    print(f"{path}: {learners} learners, {', '.join(marks.chapters)}")
    if marks.waiting:
        print(f"{marks.waiting} of these marks wait for a teacher in formgrader, and may still change")
    left_out = "without their data there" if options.to == "csv" else "left out"
    problems += [f"{student} is not in {options.roster}: {left_out}" for student in unknown]
    return report_problems(problems)
