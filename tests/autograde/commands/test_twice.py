"""Every command works when it is run twice, run with nothing to do, and run in a fresh clone before any release."""

import shutil
import subprocess
import sys

import pytest

from autograde.course.course import CONFIG_FILE
from autograde.course.marks import read_marks
from tests.autograde.conftest import TOY


def autograde(root, *words):
    """The real command with its defaults; what it says never is a traceback."""
    command = [sys.executable, "-m", "autograde.cli", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_every_command_twice(course):
    for words in (["weave"], ["release"], ["simulate", "2"], ["grade"], ["feedback"], ["report"], ["release"]):
        first, again = autograde(course.root, *words), autograde(course.root, *words)
        assert (first.returncode, again.returncode) == (0, 0), (words, first.stderr, again.stderr)
        if words[0] in ("grade", "report"):
            assert again.stdout == first.stdout


def test_a_chapter_with_nothing_new_does_not_keep_the_next_from_being_graded(course):
    shutil.copytree(course.solutions / TOY, course.solutions / "02-toy")
    (course.solutions / "02-toy" / f"{TOY}.ipynb").rename(course.solutions / "02-toy" / "02-toy.ipynb")
    assert autograde(course.root, "release").returncode == 0
    assert autograde(course.root, "simulate", "1", TOY).returncode == 0
    assert autograde(course.root, "grade").returncode == 0
    assert autograde(course.root, "simulate", "1", "02-toy").returncode == 0
    done = autograde(course.root, "grade")
    assert done.returncode == 0 and done.stdout.count("student-001") == 2
    assert read_marks(course, "02-toy")[0].points == 9


@pytest.fixture
def clone(released_course, tmp_path):
    """What git has of a course: no gradebook."""
    for part in (CONFIG_FILE, "solutions", "chapters"):
        copy = shutil.copytree if (released_course / part).is_dir() else shutil.copy
        copy(released_course / part, tmp_path / part)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["grade"], 0, "nothing is handed in yet"),
        (["feedback"], 0, "0 feedback pages"),
        (["report"], 0, "report:"),
        (["simulate", "1"], 1, "run `autograde release 01-toy` first"),
    ],
)
def test_in_a_fresh_clone(clone, words, status, said):
    done = autograde(clone, *words)
    assert done.returncode == status and said in done.stdout + done.stderr


def test_in_a_fresh_clone_a_submission_is_not_graded_against_what_nobody_released(clone):
    folder = clone / "gradebook" / "submitted" / "ada" / TOY
    shutil.copytree(clone / "chapters" / TOY, folder)
    done = autograde(clone, "grade")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "autograde: 01-toy is not released: run `autograde release 01-toy` first"
    assert autograde(clone, "report").returncode == 0
    assert autograde(clone, "release").returncode == 0
    assert autograde(clone, "grade").returncode == 0
