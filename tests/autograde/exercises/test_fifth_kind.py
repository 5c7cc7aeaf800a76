"""A fifth kind of exercise is one new file: nothing else knows it, from the key to the mark."""

import shutil

import nbformat
import pytest

from autograde import check, solution
from autograde.authoring.weave import weave
from autograde.cli import main
from autograde.course.course import Course
from autograde.course.grading import read_graded
from autograde.course.simulate import simulate
from autograde.exercises.verdict import Status
from autograde.learner.check import CheckFailed
from autograde.learner.ticks import read_progress

CHAPTER = "07-own"
KEY = """
from autograde.exercises import Misconception, Numeric
from tests.autograde.exercises.several import Several

tokens = Several(
    "tokens", title="Tokens", points=2, prompt="What is a token of a ViT?",
    options={"a patch": True, "a pixel": False, "CLS": True, "a batch": False},
    misconceptions=[Misconception("pixels", [1, 2, 3], "A pixel is part of a patch.")],
    hints=["Which vectors does the encoder read?"], why="The encoder reads CLS and the patches.",
)
practice = Numeric(
    "practice", title="Practice", points=0, prompt="2 + 2?", answer=4, hints=["Count."], why="2 + 2 = 4.",
    misconceptions=[Misconception(f"said {wrong}", wrong, f"{wrong}?") for wrong in (3, 5, 22)],
)
"""


@pytest.fixture(scope="module")
def book(released_course, tmp_path_factory) -> Course:
    """A course with one more chapter, woven, released, handed in by ten simulated students and graded."""
    course = Course(tmp_path_factory.mktemp("fifth") / "course")
    shutil.copytree(released_course, course.root)
    folder = course.solutions / CHAPTER
    folder.mkdir()
    (folder / "key.py").write_text(KEY)
    cells = [nbformat.v4.new_markdown_cell("# My chapter"), nbformat.v4.new_markdown_cell("{exercise tokens}")]
    cells.append(nbformat.v4.new_markdown_cell("{exercise practice}"))
    cells.insert(1, nbformat.v4.new_code_cell("from autograde import check"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{CHAPTER}.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        for command in (["weave"], ["release"], ["simulate", "5"], ["grade", "--jobs", "0"], ["feedback"], ["report"]):
            assert main([*command, CHAPTER]) == 0
    return course


def test_it_is_woven_once(book):
    assert not weave(book.solutions / CHAPTER)
    cells = {cell.id: cell.source for cell in nbformat.read(book.released / CHAPTER / f"{CHAPTER}.ipynb", 4).cells}
    assert "3. CLS\n" in cells["tokens-prompt"] and "a list of the numbers that apply" in cells["tokens-prompt"]
    assert "[1, 3]" not in "".join(cells.values())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([1], "one more"),
        ([3, 2, 1], "A pixel is part of a patch"),
        ([4], "is not the answer. Unfold a hint"),
        (3, "expected a list of different items"),
        ([5], "an option, 1 to 4"),
        ([1, 1], "names an item twice"),
        (..., "put your answer in place of the dots"),
    ],
)
def test_a_learner_is_told(book, monkeypatch, answer, words):
    monkeypatch.chdir(book.released / CHAPTER)
    with pytest.raises(CheckFailed) as caught:
        check("tokens", answer)
    assert words in str(caught.value)


def test_a_learner_gets_the_tick_the_reason_and_the_worked_solution(book, monkeypatch, capsys):
    monkeypatch.chdir(book.released / CHAPTER)
    for wrong in ([1], [2], [4]):
        with pytest.raises(CheckFailed):
            check("tokens", wrong)
    solution("tokens")
    check("tokens", [3, 1])
    assert capsys.readouterr().out.splitlines() == [
        "tokens = [1, 3]",
        "✓ Tokens: 3, 1 is right. The encoder reads CLS and the patches.",
    ]
    assert [chapter.solved for chapter in read_progress(book.released).chapters][-1] == {"tokens"}


def test_grading_finds_what_was_simulated(book):
    group = simulate(book, CHAPTER, 5)
    for simulated in group:
        verdict, practice = read_graded(book, CHAPTER, simulated.student).verdicts
        assert (practice["points"], practice["out_of"]) == (0, 0)
        assert (practice["status"] == Status.RIGHT) == (simulated.answers["practice"] == "right")
        match simulated.answers["tokens"]:
            case "right":
                assert (verdict["status"], verdict["points"]) == (Status.RIGHT, 2)
            case "blank":
                assert verdict["status"] == Status.BLANK
            case name:
                assert verdict["misconception"] == name
    assert {"right", "blank", "pixels"} == {simulated.answers["tokens"] for simulated in group}
