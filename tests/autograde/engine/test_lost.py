"""A None or a 0 has its reason, in the gradebook and in the feedback, whatever became of the submission."""

import re
from dataclasses import replace

import nbformat
import pytest

from autograde.cli import main
from autograde.course.course import Course
from autograde.course.grading import grade, read_graded
from autograde.course.settings import CONFIG_FILE
from autograde.course.simulate import simulate
from autograde.engine.jobs import UNREADABLE
from tests.autograde.conftest import TOY
from tests.autograde.course.test_grading import gradebook_rows, in_order

DIES = "os.kill(os.getpid(), signal.SIGKILL)"
HANGS = "__import__('ctypes').PyDLL(None).sleep(10**6)"  # and lets nothing else run in its process
VICTIM = "student-002"
DEADLY = """

class Deadly(Choice):
    def _mark_value(self, value):
        import os, pathlib, re, signal

        deaths = pathlib.Path("DEATHS")
        if value == 3 and len(deaths.read_text()) < TIMES:
            deaths.open("a").write("x")
            HOW
        return super()._mark_value(value)


remedy = Deadly("remedy", title="", prompt="", points=2, options=remedy.options)
"""


class Deadly(Course):
    """Only the victim's job is given up soon: the others may take as long as a busy machine makes them."""

    def job(self, chapter, student, notebook=""):
        job = super().job(chapter, student, notebook)
        return replace(job, limits=replace(job.limits, notebook_seconds=5, overtime=20)) if student == VICTIM else job


@pytest.fixture
def deadly(course, tmp_path, times, how):
    """Marking one student's answer kills the process that marks it, as no answer should; the others are all right."""
    simulate(course, TOY, 3)
    (tmp_path / "deaths").touch()
    key = course.solutions / TOY / "key.py"
    facts = {"DEATHS": str(tmp_path / "deaths"), "TIMES": str(times), "HOW": how}
    key.write_text(key.read_text() + re.sub("|".join(facts), lambda found: facts[found[0]], DEADLY))
    solved = nbformat.read(course.solutions / TOY / f"{TOY}.ipynb", as_version=4)
    for student in course.submissions(TOY):
        nbformat.write(solved, course.submitted / student / TOY / f"{TOY}.ipynb")
    next(cell for cell in solved.cells if cell.id == "remedy-answer").source = "remedy = 3"
    nbformat.write(solved, course.submitted / VICTIM / TOY / f"{TOY}.ipynb")
    return Deadly(course.root)


@pytest.mark.parametrize(("how", "times"), [(DIES, 1)])
def test_a_submission_whose_worker_died_is_graded_by_another(deadly, tmp_path, capsys):
    assert main(["grade", "--jobs", "2"]) == 0
    said = capsys.readouterr()
    assert "7/9" in said.out and "not graded" not in said.out
    assert "3/3" in said.err and "submission" in said.err  # the bar, with its rate and the time left
    assert (tmp_path / "deaths").read_text() == "x"


@pytest.mark.parametrize(("how", "times"), [(DIES, 9), (HANGS, 9)], ids=["dies", "hangs"])
def test_a_submission_that_kills_its_worker_twice_keeps_what_it_earned_before(deadly, monkeypatch):
    first, victim, third = in_order(grade(deadly, TOY, [], workers=2))
    assert first.points == first.out_of == third.points
    assert victim.failure == "the process that graded it died, and died again when it was tried once more"
    assert [verdict["points"] for verdict in victim.verdicts] == [1, 1, 1, 0, 0]
    assert all(victim.failure in verdict["message"] for verdict in victim.verdicts[3:])
    marks = {cell: score for student, cell, score, _ in gradebook_rows(deadly) if student == victim.student}
    assert marks == {verdict["exercise"]: verdict["points"] for verdict in victim.verdicts}
    assert not deadly.results.get(deadly.job(TOY, victim.student).fingerprint)  # the next run tries it anew
    assert read_graded(deadly, TOY, victim.student) == victim


@pytest.fixture
def slow_release(course):
    """A chapter in which a cell of the release takes too long for this course's limits."""
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write("c.Limits.cell_seconds = 5\n")
    course = Course(course.root)
    simulate(course, TOY, 2)
    path = course.seal(TOY).folder / f"{TOY}.ipynb"
    released = nbformat.read(path, as_version=4)
    slow = nbformat.v4.new_code_cell("import time\ntime.sleep(60)", id="slow")
    released.cells.insert(1, slow)
    nbformat.write(released, path)
    notebook = nbformat.read(course.submitted / "student-001" / TOY / f"{TOY}.ipynb", as_version=4)
    notebook.cells.insert(1, slow)
    nbformat.write(notebook, course.submitted / "student-001" / TOY / f"{TOY}.ipynb")
    return course


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_busy_machine_may_have_cost_is_shown_and_not_kept(slow_release, workers):
    first, second = in_order(grade(slow_release, TOY, [], workers=workers))
    assert "time ran out, which may be the machine's fault: cell 2 ran longer" in first.failure
    assert first.points == first.out_of and not second.failure  # what could be marked is
    assert slow_release.results.get(slow_release.job(TOY, second.student).fingerprint)
    assert not slow_release.results.get(slow_release.job(TOY, first.student).fingerprint)
    assert main(["grade", "--jobs", "1"]) == 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-300], "broke off"),
        (lambda data: b"", "empty"),
        (lambda data: b"PK\x03\x04" + data, "a ZIP archive"),
    ],
)
def test_what_cannot_be_read_is_not_taken_for_unanswered(course, damage, words, capsys):
    simulate(course, TOY, 1)
    path = course.submitted / "student-001" / TOY / f"{TOY}.ipynb"
    path.write_bytes(damage(path.read_bytes()))
    assert main(["grade"]) == 1
    graded = read_graded(course, TOY, "student-001")
    assert graded.failure.startswith(UNREADABLE) and words in graded.failure
    assert {verdict["status"] for verdict in graded.verdicts} == {"lost"}


def test_a_submission_without_its_notebook_has_a_feedback_page_that_says_so(course, monkeypatch):
    simulate(course, TOY, 2)
    missing = course.submitted / "student-001" / TOY
    (missing / f"{TOY}.ipynb").rename(missing / "essay.docx")
    first, _ = in_order(grade(course, TOY, []))
    reason = "expected 01-toy.ipynb in the submission, but it holds no notebook, but essay.docx"
    assert (first.points, first.failure) == (0, reason)
    assert {score for student, _, score, _ in gradebook_rows(course) if student == "student-001"} == {0}
    assert main(["feedback", TOY]) == 0
    page = (course.feedback / "student-001" / TOY / f"{TOY}.html").read_text(encoding="utf-8")
    assert page.count(reason) >= len(first.verdicts)


def test_a_feedback_page_that_cannot_be_written_keeps_no_other_from_it(course, capsys):
    simulate(course, TOY, 3)
    list(grade(course, TOY, []))
    course.feedback.mkdir()
    (course.feedback / "student-002").write_text("in the way")
    assert main(["feedback"]) == 1
    said = capsys.readouterr()
    assert "2 feedback pages" in said.out and "feedback for student-002" in said.err
    assert [path.parts[-3] for path in sorted(course.feedback.rglob("*.html"))] == ["student-001", "student-003"]


def test_a_link_is_no_notebook(course):
    """It could lead to the solution."""
    simulate(course, TOY, 1)
    path = course.submitted / "student-001" / TOY / f"{TOY}.ipynb"
    path.unlink()
    path.symlink_to(course.solutions / TOY / f"{TOY}.ipynb")
    (graded,) = grade(course, TOY, [])
    assert graded.points == 0
    assert "01-toy.ipynb (a link)" in graded.failure
