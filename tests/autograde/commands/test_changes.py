"""A course that changes while it runs: exercises come, go and change points, and marks follow."""

import json

import nbformat
import pytest

from autograde.cli import main
from autograde.course.course import CONFIG_FILE
from autograde.course.marks import read_marks
from autograde.course.simulate import simulate
from tests.autograde.conftest import TOY


@pytest.fixture
def running(course):
    """Two submissions, graded: one all right, one not."""
    simulate(course, TOY, 2)
    assert main(["grade", "--jobs", "1"]) == 0
    return course


def edit_key(course, before, after):
    path = course.solutions / TOY / "key.py"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def edit_notebook(course, change):
    path = course.solutions / TOY / f"{TOY}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def released(course):
    return {path: path.read_bytes() for path in sorted(course.released.rglob("*")) if path.is_file()}


def drop_share(course):
    text = (course.solutions / TOY / "key.py").read_text()
    begin = text.index("share = Numeric(")
    (course.solutions / TOY / "key.py").write_text(text[:begin] + text[text.index("positions = TrueFalse(") :])


ADDED = (
    'extra = TrueFalse("extra", title="Extra", prompt="Is 1 one?", answer=True, misconception="It is.", '
    'hints=["Count."], why="One is one.")\n\n'
)


def add_extra(course):
    edit_key(course, "share = Numeric(", ADDED + "share = Numeric(")
    place = nbformat.v4.new_markdown_cell("{exercise extra}", id="place")

    def insert(notebook):
        before = next(i for i, cell in enumerate(notebook.cells) if cell.id == "share-prompt")
        notebook.cells.insert(before, place)

    edit_notebook(course, insert)


def points(course):
    return {marks.student: (marks.points, marks.out_of) for marks in read_marks(course, TOY)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_share, "share would be dropped"),
        (add_extra, "extra would be added"),
        (lambda course: edit_key(course, "    points=2,", "    points=4,"), "remedy would be worth 4 instead of 2"),
    ],
)
def test_a_change_needs_to_be_meant(running, change, said, capsys):
    before, marks = released(running), points(running)
    change(running)
    assert main(["release"]) == 1
    error = capsys.readouterr().err
    assert said in error and "pass --migrate" in error and error.count("\n") == 1
    assert released(running) == before
    dropped = change is drop_share  # and learners have it: without its key it cannot be marked
    assert main(["grade", "--jobs", "1"]) == dropped  # against what was released
    assert ("key.py has no share, but the chapter was released with it" in capsys.readouterr().err) == dropped
    assert points(running) == marks


def test_a_dropped_exercise_counts_for_nobody(running):
    drop_share(running)
    assert main(["release", "--migrate"]) == 0
    assert "share" not in (running.released / TOY / f"{TOY}.ipynb").read_text()
    assert main(["grade", "--jobs", "1"]) == 0
    assert points(running)["student-001"] == (8, 8)


def test_an_added_exercise_counts_for_those_who_hand_in_again(running):
    add_extra(running)
    assert main(["release", "--migrate"]) == 0
    assert main(["grade", "--jobs", "1"]) == 0
    assert points(running)["student-001"] == (9, 10)
    path = running.submitted / "student-001" / TOY / f"{TOY}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("extra = 1", id="extra-answer"))
    nbformat.write(notebook, path)
    assert main(["grade", "--jobs", "1"]) == 0
    assert points(running)["student-001"] == (10, 10)


def test_other_points_count_for_everybody(running):
    edit_key(running, "    points=2,", "    points=4,")
    assert main(["release", "--migrate"]) == 0
    assert main(["grade", "--jobs", "1"]) == 0
    assert points(running)["student-001"] == (11, 11)


def test_a_manual_mark_stays(running):
    with running.api.gradebook as gradebook:
        gradebook.find_grade("tokens", TOY, TOY, "student-001").manual_score = 0.5
        gradebook.db.commit()
    drop_share(running)
    assert main(["release", "--migrate"]) == 0
    assert main(["grade", "--jobs", "1"]) == 0
    assert points(running)["student-001"] == (7.5, 8)


def test_a_locked_text_may_change_at_any_time(running):
    def insert(notebook):
        text = nbformat.v4.new_markdown_cell("Read this first.", id="read-first")
        roles = {"grade": False, "solution": False, "locked": True, "task": False}
        text.metadata.nbgrader = {"schema_version": 3, "grade_id": "read-first", **roles}
        notebook.cells.insert(0, text)

    edit_notebook(running, insert)
    assert main(["release"]) == 0


def test_nbgraders_reason_is_passed_on_and_the_old_release_stays(course, capsys):
    before = released(course)

    def break_it(notebook):
        notebook.cells[0].source += "\n### BEGIN HIDDEN TESTS\n"

    edit_notebook(course, break_it)
    assert main(["release"]) == 1
    assert "01-toy was not released: No end hidden tests statement found" in capsys.readouterr().err
    assert released(course) == before


def sheet(course):
    return json.loads((course.released / TOY / "exercises.json").read_text())


def test_settings_of_the_course_hold_for_every_release(course, capsys):
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write("c.Release.variants = True\nc.Release.feedback = 'form'\n")
    for command in (["release"], ["weave"], ["release"]):
        assert main(command) == 0
    assert sheet(course)["feedback"] == "form" and sheet(course)["course"] == course.id
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write("c.Release.feedback = 'none'\n")
    assert main(["release"]) == 1
    assert "c.Release.feedback is 'none': expected one of full, check, form" in capsys.readouterr().err


def test_a_flag_is_not_forgotten_by_the_next_release(course):
    assert main(["release", "--variants", "--feedback", "form"]) == 0
    assert main(["release"]) == 0
    assert sheet(course)["feedback"] == "form" and "course" in sheet(course)
    assert main(["release", "--no-variants", "--feedback", "full"]) == 0
    assert main(["release"]) == 0
    assert sheet(course)["feedback"] == "full" and "course" not in sheet(course)


def test_bonus_points_go_beyond_the_maximum_and_practice_earns_none(running):
    edit_key(running, "    points=2,", "    points=2,\n    bonus=True,")
    edit_key(running, 'title="A share",', 'title="A share",\n    points=0,')
    assert main(["release", "--migrate"]) == 0
    assert "2 bonus points" in (running.released / TOY / f"{TOY}.ipynb").read_text()
    assert main(["grade", "--jobs", "1"]) == 0
    marks = read_marks(running, TOY)[0]
    assert (marks.points, marks.out_of) == (8, 6)
    assert {verdict["exercise"]: verdict["points"] for verdict in marks.verdicts} == {
        "tokens": 1, "share": 0, "positions": 1, "remedy": 2, "cut-rows": 4,
    }  # fmt: skip
    before = [marks.points for marks in read_marks(running, TOY)]
    assert running.api.autograde(TOY, "student-001")["success"]
    assert [marks.points for marks in read_marks(running, TOY)] == before
    assert main(["report"]) == 0
