"""Give a student longer for a chapter."""

from __future__ import annotations

import argparse

from autograde.commands import NAMED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("student", help="the student's id; write -- before one that begins with a hyphen")
    parser.add_argument("chapter", help=f"a chapter, {NAMED}")
    parser.add_argument("--days", type=int, required=True, help="beyond the due date, in all; 0 takes it back")


def run(options: argparse.Namespace) -> int:
    from datetime import timedelta

    from autograde.authoring.key import nearest
    from autograde.course import lateness
    from autograde.course.course import Course, CourseError
    from autograde.course.people import as_known, people

    course = Course.find()
    (chapter,) = course.choose([options.chapter])
    if not 0 <= options.days <= 3660:
        raise CourseError(f"--days {options.days}: expected 0 to 3660")
    due = lateness.due(course, chapter)
    span = timedelta(days=options.days)
    known = list(people(course))
    student = as_known(options.student, known)
    lateness.extend(course, student, chapter, span)
    when = f"due {lateness.shown(lateness.later(due, span))}" if due else "no due date yet"
    print(f"{student}: {lateness.days(span)} longer for {chapter}, {when}")
    if known and student not in known:
        print(f"no student of that name is known yet{nearest(student, known)}")
    return 0
