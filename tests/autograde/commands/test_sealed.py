"""Submissions are graded against what was released, whatever happens to chapters/ afterwards."""

import json
import shutil
from random import Random

import nbformat
import pytest

from autograde.cli import main
from autograde.course.marks import read_marks
from tests.autograde.conftest import TOY


def solved(course):
    """The released notebook with every answer right."""
    notebook = course.template(TOY)
    exercises = course.key(TOY).exercises
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = exercises[cell.id.removesuffix("-answer")].right_source(Random(0))
    return notebook


def hand_in(course, student, content):
    folder = course.submitted / student / TOY
    folder.mkdir(parents=True)
    (folder / f"{TOY}.ipynb").write_text(content, encoding="utf-8")


def test_answers_in_chapters_are_worth_nothing(course, capsys):
    blank, right = nbformat.writes(course.template(TOY)), nbformat.writes(solved(course))
    (course.released / TOY / f"{TOY}.ipynb").write_text(right, encoding="utf-8")
    (course.released / TOY / "exercises.json").write_text("{}", encoding="utf-8")
    as_text = json.loads(right)
    for cell in as_text["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["cell_type"] = "markdown"
    work = {"blank": blank, "broken-off": right[:-300], "empty": "", "right": right, "text": json.dumps(as_text)}
    for student, content in work.items():
        hand_in(course, student, content)
    main(["grade", "--jobs", "1"])
    points = {marks.student: marks.points for marks in read_marks(course, TOY)}
    assert points == {"blank": 0, "broken-off": 0, "empty": 0, "right": 9, "text": 0}
    assert f"in chapters/ {TOY}.ipynb, exercises.json differs" in capsys.readouterr().out


def test_chapters_may_be_gone(course):
    hand_in(course, "ada", nbformat.writes(solved(course)))
    shutil.rmtree(course.released)
    assert main(["grade", "--jobs", "1"]) == 0
    assert [marks.points for marks in read_marks(course, TOY)] == [9]


@pytest.mark.parametrize("button", [False, True], ids=["autograde release", "formgrader's button"])
def test_a_new_release_is_sealed_however_it_is_made(course, button):
    path = course.solutions / TOY / f"{TOY}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += "\n\nAnother sentence."
    nbformat.write(notebook, path)
    (course.solutions / TOY / "numbers.csv").write_text("1,2,3")
    if button:
        assert course.api.generate_assignment(TOY, force=True)["success"]
    else:
        assert main(["release"]) == 0
    assert "Another sentence." in course.template(TOY).cells[0].source
    assert (course.seal(TOY).folder / "numbers.csv").read_text() == "1,2,3"
    assert not list(course.seal(TOY).folder.glob("key.py"))
