"""The gradebook on a PostgreSQL server: a course that names its URL gets the rows that SQLite gets."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograde.cli import main
from autograde.course.simulate import simulate
from tests.autograde.conftest import TOY, make_course

STUDENTS = 8  # some notebooks are beyond repair


@pytest.fixture(scope="module")
def server():
    """The URL of a PostgreSQL of our own, which listens on a Unix socket alone."""
    debians = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    places = [*reversed(debians), *map(Path, os.environ["PATH"].split(os.pathsep))]
    tools = next((place for place in places if (place / "initdb").is_file()), None)
    if tools is None:
        pytest.fail("there is no initdb: install PostgreSQL, with `sudo apt-get install postgresql`", pytrace=False)
    owner = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}  # root may not
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:  # a socket's path has to be short

        def call(tool, *arguments):
            command = [tools / tool, "--pgdata", "data", *arguments]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=300, **owner)

        if owner:
            shutil.chown(folder, owner["user"], owner["group"])
        call("initdb", "--username", "teacher", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        call("pg_ctl", "start", "--wait", "--log", "log", "--options", f"-k {folder} -c listen_addresses='' -F")
        yield f"postgresql://teacher@/postgres?host={folder}"
        call("pg_ctl", "stop", "--wait", "--mode", "fast")


@pytest.fixture(scope="module")
def both(server, tmp_path_factory):
    """One class, graded by the command line into each kind of gradebook: SQLite's course, PostgreSQL's."""
    courses = []
    for name, url in (("sqlite", None), ("postgresql", server)):
        course = make_course(tmp_path_factory.mktemp(name) / "course", url)
        simulate(course, TOY, STUDENTS)
        (course.submitted / "student-002" / TOY / "timestamp.txt").write_text("2030-01-02 03:04:05 UTC")
        with course.api.gradebook as gradebook:
            gradebook.update_or_create_assignment(TOY, duedate="2030-01-01 00:00:00 UTC")
        run(course, "grade", TOY, "--jobs", "1")
        courses.append(course)
    return courses


def run(course, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        assert main(arguments) == (arguments[0] == "grade")  # one upload broke off: it is to be asked for again


def rows(course):
    """What nbgrader keeps of submissions, but for the ids that it draws at random."""
    kept = []
    with Gradebook(course.api.coursedir.db_url, course.id) as gradebook:
        for submission in gradebook.assignment_submissions(TOY):
            about = (submission.student_id, submission.timestamp, submission.total_seconds_late)
            (notebook,) = submission.notebooks
            kept.append((*about, notebook.name, notebook.late_submission_penalty))
            for grade in notebook.grades:
                marks = (grade.auto_score, grade.manual_score, grade.max_score, grade.needs_manual_grade)
                kept.append((*about, grade.name, *marks))
            kept += [(*about, comment.name, comment.auto_comment) for comment in notebook.comments]
    return sorted(kept, key=repr)


def test_the_rows_are_those_of_sqlite(both):
    sqlite, postgresql = both
    assert rows(postgresql) == rows(sqlite)
    assert len(rows(postgresql)) > 10 * STUDENTS
    assert not (postgresql.root / "gradebook" / "gradebook.db").exists()


def test_grading_again_leaves_every_row_as_it_was(both):
    _, postgresql = both
    before = rows(postgresql)
    run(postgresql, "grade", TOY, "--regrade", "--jobs", "1")
    assert rows(postgresql) == before


def test_formgraders_button_feedback_and_report_find_what_they_need(both):
    sqlite, postgresql = both
    assert postgresql.api.autograde(TOY, "student-002")["success"]
    assert rows(postgresql) == rows(sqlite)
    for course in both:
        run(course, "feedback")
        run(course, "report")
    marks = [(course.root / "gradebook" / "marks.csv").read_text() for course in both]
    assert marks[0] == marks[1]
    assert len(list(postgresql.feedback.glob(f"*/{TOY}/{TOY}.html"))) == STUDENTS
