"""What learners get holds no answer, no hidden case and no key, and is what `solutions/` says."""

import json
import shutil

import nbformat
import pytest

from autograde.course.course import CONFIG_FILE, Course, CourseError
from autograde.course.release import differences, find_leaks, release, solution_lines
from autograde.engine.repair import repair
from autograde.exercises import Code
from tests.autograde.conftest import ROOT, TOY
from tests.autograde.problem_set import PS1, write_source

BOOK = Course(ROOT)


def released_text(course, chapter):
    paths = (path for path in (course.released / chapter).rglob("*") if path.is_file())
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def cells(course, chapter=TOY):
    return {cell.id: cell for cell in course.template(chapter).cells}


def test_answers_become_stubs_that_fit(course):
    released = cells(course)
    assert released["tokens-answer"].source == "tokens = ...  # your answer in place of the dots"
    assert released["cut-rows-answer"].source.endswith("return ...  # your answer in place of the dots")


@pytest.mark.parametrize("chapter", [name for name in BOOK.chapters if BOOK.is_graded(name)])
def test_no_answer_and_no_hidden_case_is_in_the_book(chapter):
    """The search knows every answer from the key: solution lines, hidden inputs, and answers next to their names."""
    assert list(find_leaks(BOOK, chapter)) == []
    text = released_text(BOOK, chapter)
    key = BOOK.key(chapter)
    sheet = json.loads((BOOK.released / chapter / "exercises.json").read_text(encoding="utf-8"))
    for exercise in key.exercises.values():
        entry = sheet["exercises"][exercise.id]
        if isinstance(exercise, Code):
            assert all(json.dumps(arguments) not in json.dumps(entry) for _, arguments in exercise.cases)
        else:
            assert f"{exercise.variable} = {exercise.shown()}\n" not in text
            assert "answer" not in entry and exercise.shown() not in {*entry["replies"], str(entry.get("options", ""))}
    assert all(exercise.fill(exercise.why) not in text for exercise in key.exercises.values() if exercise.why)


def test_a_solution_line_in_the_text_stops_the_release(course):
    path = course.solutions / TOY / f"{TOY}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += "\n\n    cut = images.unflatten(-2, (height // patch, patch))"
    nbformat.write(notebook, path)
    before = released_text(course, TOY)
    with pytest.raises(CourseError, match=r"was not released: the solution line 'cut = images\.unflatten"):
        release(course, [TOY])
    assert released_text(course, TOY) == before  # the old release stays


def test_the_key_is_never_released(course):
    assert not list(course.released.rglob("key.py"))


def test_form_feedback_sends_no_digest(course):
    release(course, [TOY], feedback="form")
    sheet = json.loads((course.released / TOY / "exercises.json").read_text(encoding="utf-8"))
    assert sheet["feedback"] == "form"
    assert not any({"replies", "solution"} & entry.keys() for entry in sheet["exercises"].values())


def test_a_fresh_release_is_in_sync(course):
    assert differences(course) == []


@pytest.mark.parametrize("name", [f"chapters/{TOY}/{TOY}.ipynb", f"chapters/{TOY}/exercises.json"])
def test_an_edited_release_is_out_of_sync(course, name):
    path = course.root / name
    path.write_text(path.read_text(encoding="utf-8").replace("pixels", "points"), encoding="utf-8")
    assert differences(course) == [f"{name} differs"]


def test_a_missing_and_a_foreign_file_are_named(course):
    (course.released / TOY / "exercises.json").unlink()
    (course.released / TOY / "stray.txt").write_text("stray")
    assert differences(course) == [
        f"chapters/{TOY}/exercises.json is missing",
        f"chapters/{TOY}/stray.txt is not part of the release",
    ]


def test_a_chapter_that_a_learner_worked_in_is_not_overwritten(course):
    path = course.released / TOY / f"{TOY}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    answer = next(cell for cell in notebook.cells if cell.id == "tokens-answer")
    answer.source = "tokens = 16"
    nbformat.write(notebook, path)
    with pytest.raises(CourseError, match="has been worked in"):
        release(course, [TOY])
    assert "tokens = 16" in path.read_text()
    release(course, [TOY], force=True)
    assert "tokens = 16" not in path.read_text()


def test_an_essay_that_a_learner_wrote_into_a_plain_assignment_is_not_overwritten(tmp_path, monkeypatch):
    shutil.copy(ROOT / CONFIG_FILE, tmp_path)
    write_source(tmp_path / "solutions" / PS1)
    monkeypatch.chdir(tmp_path)
    course = Course(tmp_path)
    release(course, [])
    release(course, [])  # nobody worked in it
    path = course.released / PS1 / "problem2.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "It calls itself."
    nbformat.write(notebook, path)
    with pytest.raises(CourseError, match="has been worked in"):
        release(course, [])
    assert "It calls itself." in path.read_text()


def test_an_unknown_chapter_suggests_the_nearest(course):
    with pytest.raises(CourseError, match="did you mean 01-toy"):
        release(course, ["01-toi"])


def test_solution_lines_are_what_stands_between_the_markers():
    source = "def f():\n    ### BEGIN SOLUTION\n    a = 1\n\n    return a\n    ### END SOLUTION\n"
    assert solution_lines(source) == ["a = 1", "return a"]


def test_hidden_tests_between_a_courses_own_marks_are_no_change_of_the_learners(tmp_path, monkeypatch):
    shutil.copy(ROOT / CONFIG_FILE, tmp_path)
    with (tmp_path / CONFIG_FILE).open("a") as config:
        config.writelines(
            f'c.ClearHiddenTests.{edge}_test_delimeter = "{mark}"\n'
            for edge, mark in (("begin", "# HIDE"), ("end", "# SHOW"))
        )
    write_source(tmp_path / "solutions" / PS1)
    path = tmp_path / "solutions" / PS1 / "problem1.ipynb"
    text = path.read_text().replace("### BEGIN HIDDEN TESTS", "# HIDE").replace("### END HIDDEN TESTS", "# SHOW")
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    course = Course(tmp_path)
    release(course, [])
    released = (course.released / PS1 / "problem1.ipynb").read_text()
    assert "squares(10)" not in released
    repaired = repair(released.encode(), course.template(PS1, "problem1"))
    assert repaired.notes == [] and any("squares(10)" in cell.source for cell in repaired.notebook.cells)
