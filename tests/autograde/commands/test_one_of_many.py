"""What is wrong with one submission is said in a line, the others are graded, and the exit status is 1."""

import errno
import os
import shutil
import signal
import sqlite3
import threading
from contextlib import closing
from multiprocessing import get_context

import pytest

from autograde.cli import main
from autograde.course import database
from autograde.course.grading import grade
from autograde.course.marks import read_marks
from autograde.course.simulate import simulate
from autograde.engine.warm import warm_up
from tests.autograde.conftest import TOY


def graded(course):
    return {marks.student for marks in read_marks(course, TOY)}


@pytest.mark.parametrize(("name", "shown"), [(b"Jos\xe9", "'Jos�'"), (b"ada\nbob", r"'ada\nbob'")])
def test_a_folder_whose_name_is_no_utf8_or_no_line(course, capsys, name, shown):
    simulate(course, TOY, 1)
    odd = os.path.join(os.fsencode(course.submitted), name)
    shutil.copytree(os.fsencode(course.submitted / "student-001"), odd)
    for command in (["grade", "--jobs", "1"], ["feedback"], ["report"], ["export"]):
        assert main(command) == 1
        assert f"has no readable name, {shown}: rename it" in capsys.readouterr().err
    assert graded(course) == {"student-001"}


def test_every_name_that_is_graded_gets_its_page(course, capsys):
    """nbgrader takes spaces from a name's end, and its patterns end at a line break."""
    simulate(course, TOY, 1)
    names = {"ada", "ada ", "ada[1]", " ben", "cy\u00a0", "dan\u2028x", "eve (1)+"}
    for name in names:
        shutil.copytree(course.submitted / "student-001" / TOY, course.submitted / name / TOY)
    assert main(["grade", "--jobs", "1"]) == main(["feedback"]) == 0
    pages = course.feedback.glob(f"*/{TOY}/{TOY}.html")
    assert {page.parts[-3] for page in pages} == graded(course) == names | {"student-001"}
    assert "8 feedback pages" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["a folder", "a broken link", "a pipe"])
def test_a_notebook_that_cannot_be_opened(course, kind, capsys):
    simulate(course, TOY, 2)
    path = course.submitted / "student-002" / TOY / f"{TOY}.ipynb"
    path.unlink()
    {"a folder": path.mkdir, "a broken link": lambda: path.symlink_to("nowhere"), "a pipe": lambda: os.mkfifo(path)}[
        kind
    ]()
    assert main(["grade", "--jobs", "1"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"autograde: student-002, {TOY}: expected {TOY}.ipynb in the submission")
    assert read_marks(course, TOY)[0].points == 9


def test_a_submission_that_the_key_fails_on(course, capsys):
    """A key is a program, too: here it fails on the text of one answer."""
    with (course.solutions / TOY / "key.py").open("a") as key:
        key.write(
            "\nmark = type(tokens)._mark_value\n"
            "def _fails(self, value):\n    assert value != 7, 'seven'\n    return mark(self, value)\n"
            "type(tokens)._mark_value = _fails\n"
        )
    simulate(course, TOY, 2)
    path = course.submitted / "student-002" / TOY / f"{TOY}.ipynb"
    path.write_text(path.read_text().replace("tokens = ", "tokens = 7 or "))
    assert main(["grade", "--jobs", "1"]) == 1
    assert "student-002" in capsys.readouterr().err
    assert read_marks(course, TOY)[0].points == 9


def test_a_key_that_cannot_be_read(course, capsys):
    simulate(course, TOY, 1)
    with (course.solutions / TOY / "key.py").open("a") as key:
        key.write("\nundefined\n")
    for command in (["release"], ["grade", "--jobs", "1"]):
        assert main(command) == 1
        assert "01-toy/key.py, line" in (error := capsys.readouterr().err) and "NameError" in error


@pytest.mark.parametrize(
    ("seal", "said"),
    [
        (
            '{"cells": [], "metadata": {"kernelspec": {"language": "R"}}, "nbformat": 4, "nbformat_minor": 5}',
            "only Python",
        ),
        ("{}", "the sealed release of 01-toy is damaged: run"),
    ],
)
def test_a_release_that_cannot_be_graded_is_said_once_and_nobody_scores_0(course, capsys, seal, said):
    simulate(course, TOY, 2)
    (course.seal(TOY).folder / f"{TOY}.ipynb").write_text(seal)
    assert main(["grade", "--jobs", "0"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert said in told[-1] and sum("autograde: " in line for line in told) == 1
    assert graded(course) == set()


def test_a_chapter_without_a_graded_cell_is_not_passed_over_in_silence(course, capsys):
    (course.solutions / "02-words").mkdir()
    (course.solutions / "02-words" / "02-words.ipynb").write_text('{"cells": []}')
    assert main(["grade", "02-words", "--jobs", "0"]) == 0
    assert capsys.readouterr().out == "02-words: none of its cells is graded\n"


def test_points_that_round_above_the_maximum_are_full_points(course):
    """A third of a point, rounded to 0.34, would be more than there is; nbgrader refuses that."""
    path = course.solutions / TOY / "key.py"
    path.write_text(path.read_text().replace("    points=2,", "    points=0.335,"))
    assert main(["release"]) == 0
    simulate(course, TOY, 1)
    assert main(["grade", "--jobs", "1"]) == 0
    remedy = next(verdict for verdict in read_marks(course, TOY)[0].verdicts if verdict["exercise"] == "remedy")
    assert remedy["points"] == remedy["out_of"] == 0.335


def locked(course, seconds):
    """Another program that holds the gradebook for a while; returns when it has it."""
    held, done = threading.Event(), threading.Event()

    def hold():
        with closing(sqlite3.connect(course.root / "gradebook" / "gradebook.db")) as gradebook:
            gradebook.execute("begin exclusive")
            held.set()
            done.wait(seconds)
            gradebook.rollback()

    threading.Thread(target=hold).start()
    held.wait()
    return done


def test_a_gradebook_that_is_locked_for_a_while_is_waited_for(course):
    simulate(course, TOY, 1)
    locked(course, seconds=8)  # longer than SQLite waits of itself
    assert main(["grade", "--jobs", "1"]) == 0
    assert graded(course) == {"student-001"}


def test_a_gradebook_that_stays_locked_is_said_and_nothing_is_done_twice(course, monkeypatch, capsys):
    simulate(course, TOY, 2)
    next(grade(course, TOY, []))
    monkeypatch.setattr(database, "PATIENCE", 1)
    done = locked(course, seconds=60)
    for command in (["grade", "--jobs", "1"], ["report"], ["release"]):
        assert main(command) == 1
        assert "autograde: the gradebook has been locked by another program for 1 seconds" in capsys.readouterr().err
    done.set()
    assert main(["grade", "--jobs", "1"]) == 0
    assert graded(course) == {"student-001", "student-002"}


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (f"ada/{TOY}.ipynb", f"ada/{TOY}.ipynb"),
        ("ada/submission.ZIP", "ada/submission.ZIP"),
        ("ada/submission.tar.gz", "ada/submission.tar.gz"),
        (f"{TOY}/ada/{TOY}.ipynb", f"{TOY}/ada"),
        ("ada/01-Toy/mine.ipynb", "ada/01-Toy"),
        ("ada.ipynb", "ada.ipynb"),
    ],
)
def test_work_that_lies_where_nothing_is_graded_is_named(course, place, named, capsys):
    path = course.submitted / place
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    for debris in ("ada/notes.txt", "ada/.ipynb_checkpoints/x.ipynb", "__MACOSX/x.ipynb"):
        (course.submitted / debris).parent.mkdir(parents=True, exist_ok=True)
        (course.submitted / debris).write_bytes(b"{}")
    assert main(["grade"]) == 1
    said = f"autograde: {named} in submitted/ is in no chapter's folder and was not graded\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("place", [f"ada/{TOY}", "ada/answers.json", "ada.txt"])
def test_a_notebook_without_its_ending_is_named_there_too(course, place, capsys):
    path = course.submitted / place
    path.parent.mkdir(parents=True)
    shutil.copy(course.released / TOY / f"{TOY}.ipynb", path)
    assert main(["grade"]) == 1
    assert capsys.readouterr().err == f"autograde: {place} in submitted/ is in no chapter's folder and was not graded\n"


def test_one_student_alone_in_whatever_chapters_they_handed_in(course, capsys):
    simulate(course, TOY, 2)
    shutil.copytree(course.solutions / TOY, course.solutions / "02-toy")  # of which nobody handed in anything
    assert main(["grade", "--jobs", "0", "--student", "STUDENT-002"]) == 0
    assert graded(course) == {"student-002"}
    assert main(["grade", "--jobs", "0", "--student", "student-03"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("autograde: student-03 handed in no chapter") and "student-00" in said


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "marks.csv"), 1, "marks.csv cannot be used: No space left"),
        (OSError("no device"), 1, "no device"),
    ],
    ids=["Ctrl-C", "disk full", "no file"],
)
def test_what_the_machine_refuses_is_said_in_a_line(course, monkeypatch, capsys, error, status, said):
    def fails(self):
        raise error

    monkeypatch.setattr(type(course), "chapters", property(fails))
    assert main(["grade"]) == status
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and said in told


def test_workers_leave_ctrl_c_to_the_grader():
    """Else each of them writes a traceback beside the grader's line."""
    warm_up()
    with get_context("forkserver").Pool(1) as workers:
        assert workers.apply(signal.getsignal, (signal.SIGINT,)) is signal.SIG_IGN


def test_a_result_that_was_damaged_on_disk_is_made_anew(course):
    simulate(course, TOY, 1)
    assert main(["grade", "--jobs", "0"]) == 0
    for path in course.results.folder.glob("*"):
        path.write_bytes(b"{\xff")
    assert main(["grade", "--jobs", "0"]) == 0
    assert graded(course) == {"student-001"}
