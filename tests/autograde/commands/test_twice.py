"""Every command works when it is run twice, run with nothing to do, and run in a fresh clone before any release."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from autograde.cli import main
from autograde.course.course import CONFIG_FILE
from autograde.course.marks import read_marks
from tests.autograde.conftest import TOY


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


@pytest.fixture
def autograde(capsys) -> Callable[..., Done]:
    """Run a command with its defaults."""

    def run(*words: str) -> Done:
        capsys.readouterr()
        return Done(main(list(words)), *capsys.readouterr())

    return run


@pytest.mark.parametrize("words", [["weave"], ["release"], ["simulate", "2"]], ids=" ".join)
def test_what_comes_before_grading_twice(course, autograde, words):
    assert (autograde(*words).status, autograde(*words).status) == (0, 0)


def test_grading_and_what_comes_after_it_twice(course, autograde):
    autograde("simulate", "2")
    for words in (["grade"], ["feedback"], ["report"]):
        first, again = autograde(*words), autograde(*words)
        assert (first.status, again.status) == (0, 0)
        assert again.out == first.out
    assert autograde("release").status == 0  # there are submissions, and nothing changes


def test_a_chapter_with_nothing_new_does_not_keep_the_next_from_being_graded(course, autograde):
    shutil.copytree(course.solutions / TOY, course.solutions / "02-toy")
    (course.solutions / "02-toy" / f"{TOY}.ipynb").rename(course.solutions / "02-toy" / "02-toy.ipynb")
    for words in (["release"], ["simulate", "1", TOY], ["grade"], ["simulate", "1", "02-toy"]):
        assert autograde(*words).status == 0
    done = autograde("grade")
    assert done.status == 0 and done.out.count("student-001") == 2
    assert read_marks(course, "02-toy")[0].points == 9


@pytest.fixture
def clone(released_course, tmp_path, monkeypatch):
    """What git has of a course: no gradebook."""
    for part in (CONFIG_FILE, "solutions", "chapters"):
        copy = shutil.copytree if (released_course / part).is_dir() else shutil.copy
        copy(released_course / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["grade"], 0, "nothing is handed in yet"),
        (["feedback"], 0, "nothing is graded yet: run `autograde grade` first\n"),
        (["report"], 0, "nothing is graded yet: run `autograde grade` first\nreport: "),
        (["export"], 0, "nothing is graded yet: run `autograde grade` first\n"),
        (["due"], 0, "01-toy: no due date\n"),
        (["simulate"], 1, "run `autograde release 01-toy` first"),
    ],
)
def test_in_a_fresh_clone(clone, autograde, words, status, said):
    done = autograde(*words)
    assert done.status == status and said in done.out + done.err
    assert not status or done.out == ""


def test_in_a_fresh_clone_a_submission_is_not_graded_against_what_nobody_released(clone, autograde):
    shutil.copytree(clone / "chapters" / TOY, clone / "gradebook" / "submitted" / "ada" / TOY)
    done = autograde("grade")
    assert done.status == 1
    assert done.err.splitlines()[-1] == "autograde: 01-toy is not released: run `autograde release 01-toy` first"
    for words in (["report"], ["release"], ["grade"]):
        assert autograde(*words).status == 0
