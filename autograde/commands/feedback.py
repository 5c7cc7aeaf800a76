"""Write each student's feedback page."""

from __future__ import annotations

import argparse

from autograde.commands import NOTHING_GRADED, add_chapters, report_problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_chapters(parser)


def run(options: argparse.Namespace) -> int:
    from autograde.engine import lean  # noqa: F401  # isort: skip  # first: what follows imports jsonschema
    from tqdm import tqdm

    from autograde.course.course import Course, CourseError
    from autograde.course.database import GradebookLocked
    from autograde.course.feedback import write_feedback
    from autograde.course.file_errors import refused
    from autograde.course.marks import read_marks

    course = Course.find()
    failures: list[str] = []  # of single pages or chapters; the others are written all the same
    pages = 0
    for name in course.choose_graded(options.chapters):
        try:
            students = [marks.student for marks in read_marks(course, name)]
        except GradebookLocked:
            raise
        except CourseError as error:  # of this chapter; the others get their pages all the same
            failures.append(str(error))
            continue
        graded = [student for student in students if (course.autograded / student / name).is_dir()]
        if not graded:
            continue
        before = len(failures)
        for student in tqdm(graded, desc=f"{name} feedback"):
            try:
                write_feedback(course, name, student)
            except CourseError as error:
                failures.append(str(error))
            except OSError as error:
                failures.append(refused(error))
        written = len(graded) - len(failures) + before
        pages += len(graded)
        print(f"{name}: {written} feedback pages in {course.feedback.relative_to(course.root)}/")
    if not pages and not failures:
        print(NOTHING_GRADED)
    return report_problems(course.unreadable + failures)
