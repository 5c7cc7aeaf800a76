"""A chapter is named by as much of its name as no other chapter has, in every command that takes one."""

import shutil

import pytest

from autograde.cli import main
from autograde.course.simulate import simulate
from tests.autograde.conftest import TOY

WORDS = [  # nothing is handed in before all others have run: to grade it takes a while
    ["weave", "NAME"],
    ["release", "--force", "NAME"],
    ["due", "NAME"],
    ["extend", "ada", "NAME", "--days", "1"],
    ["grade", "--jobs", "0", "NAME"],
    ["feedback", "NAME"],
    ["report", "NAME"],
    ["export", "NAME"],
    ["simulate", "1", "NAME"],
    ["collect", "handed-in", "--chapter", "NAME"],
]


@pytest.fixture
def two(course):
    """A second chapter, with nothing graded in it, and a submission to collect."""
    (course.solutions / "01-words").mkdir()
    (course.solutions / "01-words" / "01-words.ipynb").write_text('{"cells": []}')
    simulate(course, TOY, 1)
    shutil.copytree(course.submitted / "student-001", course.root / "handed-in" / "eve")
    shutil.rmtree(course.submitted)
    return course


def run(words, name):
    """The status of a command in which NAME stands for a chapter."""
    return main([word.replace("NAME", name) for word in words])


def test_a_unique_beginning_names_a_chapter(two, capsys):
    for words in WORDS:
        assert run(words, "01-t") == 0, words
        said = capsys.readouterr().out
        assert "01-words" not in said
        assert TOY in said or words[0] in ("feedback", "report", "export")  # of which there is nothing yet


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("01", "01 may be 01-toy, 01-words: write more of the name"),
        ("07", "no chapter 07 in solutions/; there is 01-toy, 01-words"),
        ("01-toys", "no chapter 01-toys in solutions/; did you mean 01-toy?"),
    ],
)
def test_what_may_be_several_chapters_or_is_none_is_said_in_a_line(two, capsys, name, told):
    for words in WORDS:
        assert run(words, name) == 1, words
        assert capsys.readouterr().err == f"autograde: {told}\n"


def test_a_chapter_named_twice_is_one(two):
    assert two.choose(["01-t", TOY]) == [TOY]
    assert two.choose([]) == [TOY, "01-words"]
