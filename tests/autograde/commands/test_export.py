"""`autograde export` through the command line: golden files, the platforms' own lists, and names of every kind."""

import csv
import random
import unicodedata
from datetime import datetime
from pathlib import Path

import pytest
from nbgrader.plugins import LateSubmissionPlugin

from autograde.cli import main
from autograde.course.course import Course
from tests.autograde.conftest import TOY

GOLDEN = Path(__file__).parent / "exports"
CLASS = [  # id, first name, last name, e-mail address, points, late penalty
    ("ada", "Ada", "Lovelace", "Ada@Example.org", 9.0, None),
    ("-o'neill, [j] =@+", "Jim", "O'Neill", "jim@example.org", 4.5, 1.25),
    ("zoë", "Zoë", 'Müller, "Mü"', "", 1 / 3, 5.0),
    ("bob", "", "", "bob@example.org", None, None),
]
CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,01-toy (4711),Final Score
    Points Possible,,,,,9.0,(read only)
"Lovelace, Ada",1001,M-17,ADA,Section A,,
"Müller, Zoë",1002,M-18,ZOE\u0308,Section B,,
"O'Neill, Jim",1003,M-19,"-o'neill, [j] =@+",Section B,,
"Student, Test",1004,,abcdef,Section A,,
"""
MOODLE = """First name;Last name;ID number;Email address;Assignment: 01-toy (Real)
Ada;Lovelace;M-17;Ada@Example.org;-
Jim;O'Neill;M-19;jim@example.org;-
Zoë;Müller;M-18;ZOE\u0308@example.org;-
"""


def enter(course: Course, group) -> None:
    """A gradebook as grading leaves it."""
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_assignment(TOY, duedate=datetime(2026, 12, 1))
        for student, first, last, email, points, penalty in group:
            gradebook.update_or_create_student(student, first_name=first, last_name=last, email=email)
            if points is not None:
                late = {} if penalty is None else {"timestamp": datetime(2026, 12, 2)}
                submission = gradebook.update_or_create_submission(TOY, student, **late)
                grades = submission.notebooks[0].grades
                for grade in grades:
                    grade.auto_score, grade.needs_manual_grade = 0, False
                grades[0].auto_score = points
        gradebook.db.commit()


class ByStudent(LateSubmissionPlugin):
    """A penalty that a teacher set for each."""

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return {student: penalty for student, *_, penalty in CLASS}[student_id]


@pytest.fixture
def marked(course) -> Course:
    with (course.root / "nbgrader_config.py").open("a") as config:
        config.write("from tests.autograde.commands.test_export import ByStudent\n")
        config.write("c.AssignLatePenalties.plugin_class = ByStudent\n")
    enter(course, CLASS)
    return course


def exported(course: Course, *arguments: str) -> str:
    assert main(["export", *arguments, "--out", "out.csv"]) == 0
    return (course.root / "out.csv").read_bytes().decode()


@pytest.mark.parametrize("to", ["csv", "canvas", "moodle"])
def test_without_a_roster(marked, to, capsys):
    text = exported(marked, "--to", to)
    assert text == (GOLDEN / f"{to}.csv").read_bytes().decode()
    assert exported(marked, "--to", to, TOY) == text


@pytest.mark.parametrize(("to", "roster"), [("canvas", CANVAS), ("moodle", MOODLE)])
def test_with_the_platforms_own_list_and_headings(marked, to, roster, capsys):
    (marked.root / "roster.csv").write_text(roster, encoding="utf-8")
    assert main(["export", "--to", to, "--roster", "roster.csv", "--out", "out.csv"]) == 1
    assert (marked.root / "out.csv").read_bytes() == (GOLDEN / f"{to}-roster.csv").read_bytes()
    said = capsys.readouterr().err
    assert said == "autograde: bob is not in roster.csv: left out\n"


def test_rows_come_by_last_name_and_without_names_by_id(course):
    enter(course, [(name, None, None, None, 1.0, None) for name in ("zoe", "b", "a")])
    assert [line.split(",")[0] for line in exported(course).splitlines()] == ["id", "a", "b", "zoe"]


def test_in_a_plain_table_nobody_is_left_out(marked, capsys):
    (marked.root / "roster.csv").write_text("id,section\nada,A\neve,B\n")
    assert main(["export", "--roster", "roster.csv", "--out", "out.csv"]) == 1
    text = (marked.root / "out.csv").read_text(encoding="utf-8")
    rows = {row["id"]: row for row in csv.DictReader(text.splitlines())}
    assert set(rows) == {"ada", "eve", "zoë", "bob", "-o'neill, [j] =@+"}
    assert (rows["ada"]["section"], rows["ada"][TOY], rows["eve"][TOY]) == ("A", "9", "")


def odd_names(count: int) -> list[str]:
    dice = random.Random(0)
    signs = "abcXYZ 019[]+-=@',;\"äöüßéñ漢字Ω.!#$%&()*<>?^_`{|}~\\" + unicodedata.normalize("NFD", "ëå")
    names = {"".join(dice.choices(signs, k=dice.randint(1, 20))).strip() for _ in range(2 * count)}
    safe = [name for name in sorted(names) if name and not (name[0] in "=+-@" and set(name) & set("(|!"))]
    return safe[:count]


def test_a_thousand_odd_names_survive_the_round_trip(course):
    names = odd_names(1000)
    enter(course, [(name, f"first {name}", f"last {name}", f"{name}@x", None, None) for name in names])
    enter(course, [(names[0], "", "", "", 1.0, None)])
    back = list(csv.DictReader(exported(course).splitlines(keepends=True)))
    assert {row["id"] for row in back} == set(names) and len(back) == 1000
    again = exported(course, "--roster", "out.csv")
    assert sorted(again.splitlines()) == sorted(exported(course).splitlines())


def test_a_name_that_would_run_in_a_spreadsheet_does_not(course):
    enter(course, [("=cmd|' /C calc'!A0", "+SUM(1)", "", "", 1.0, None)])
    assert "\r\n'=cmd|' /C calc'!A0,'+SUM(1)," in exported(course)


def test_nothing_graded_and_a_fresh_gradebook_are_no_error(course, capsys):
    assert main(["export"]) == 0
    assert "nothing is graded yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("roster", "said"),
    [
        (None, "cannot be read"),
        (b"", "no column that says who is who"),
        (b"colour,size\nred,1\n", "no column that says who is who"),
        (b"id\0\n", "is no table"),
        (b"id,email\nada,x@y\nADA,z@y\n", "ada could be"),
        (b"id,email\nx,ada@example.org\nada,q@r\n", None),
        (b"id,email,username\nada,bob@example.org,bob\n", "are both ada in the roster"),
    ],
)
def test_a_roster_that_cannot_be_is_said_in_a_line(marked, capsys, roster, said):
    if roster is not None:
        (marked.root / "roster.csv").write_bytes(roster)
    assert main(["export", "--to", "canvas", "--roster", "roster.csv"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if said:
        assert said in error and error.count("\n") == 1


def test_a_place_that_cannot_be_written_is_said_in_a_line(marked, capsys):
    assert main(["export", "--out", "no/such/folder/out.csv"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_marks_that_wait_for_a_teacher_are_counted(marked, capsys):
    with marked.api.gradebook as gradebook:
        gradebook.find_submission(TOY, "ada").notebooks[0].grades[0].needs_manual_grade = True
        gradebook.db.commit()
    assert main(["export"]) == 0
    assert "1 of these marks wait for a teacher" in capsys.readouterr().out
