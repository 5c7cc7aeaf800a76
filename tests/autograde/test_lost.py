"""A None or a 0 has its reason, in the gradebook and in the feedback, whatever became of the submission."""

import nbformat
import pytest

from autograde.cli import main
from autograde.grading import grade
from autograde.simulate import simulate
from tests.autograde.conftest import TOY
from tests.autograde.test_grading import gradebook_rows, in_order

DEADLY = """

class Deadly(Choice):
    def read(self, value):
        if value == 3:
            import os, signal

            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(value)


remedy = Deadly("remedy", title="", prompt="", points=2, options=remedy.options)
"""


@pytest.fixture
def deadly(course):
    """Marking one student's answer kills the process that marks it, as no answer should; the others are all right."""
    simulate(course, TOY, 3)
    key = course.solutions / TOY / "key.py"
    key.write_text(key.read_text() + DEADLY)
    solved = nbformat.read(course.solutions / TOY / f"{TOY}.ipynb", as_version=4)
    for student in course.submissions(TOY):
        nbformat.write(solved, course.submitted / student / TOY / f"{TOY}.ipynb")
    next(cell for cell in solved.cells if cell.id == "remedy-answer").source = "remedy = 3"
    nbformat.write(solved, course.submitted / "student-002" / TOY / f"{TOY}.ipynb")
    return course


def test_a_submission_that_kills_its_worker_twice_keeps_what_it_earned_before(deadly, monkeypatch):
    first, victim, third = in_order(grade(deadly, TOY, [], workers=2))
    assert first.points == first.out_of == third.points
    assert victim.failure == "the process that graded it died, and died again when it was tried once more"
    assert [verdict["points"] for verdict in victim.verdicts] == [1, 1, 1, 0, 0]
    assert all(victim.failure in verdict["message"] for verdict in victim.verdicts[3:])
    marks = {cell: score for student, cell, score, _ in gradebook_rows(deadly) if student == victim.student}
    assert marks == {verdict["exercise"]: verdict["points"] for verdict in victim.verdicts}
    assert grade(deadly, TOY, [], workers=2).__next__() == first  # and it is not tried a third time
    assert in_order(grade(deadly, TOY, [])) == [first, victim, third]


def test_a_submission_without_its_notebook_has_a_feedback_page_that_says_so(course, monkeypatch):
    simulate(course, TOY, 2)
    lost = course.submitted / "student-001" / TOY
    (lost / f"{TOY}.ipynb").rename(lost / "Untitled.ipynb")
    first, _ = in_order(grade(course, TOY, []))
    reason = "expected 01-toy.ipynb in the submission, but it holds Untitled.ipynb"
    assert (first.points, first.failure) == (0, reason)
    assert {score for student, _, score, _ in gradebook_rows(course) if student == "student-001"} == {0}
    assert main(["feedback", TOY]) == 0
    page = (course.feedback / "student-001" / TOY / f"{TOY}.html").read_text(encoding="utf-8")
    assert page.count(reason) >= len(first.verdicts)


def test_a_link_is_no_notebook(course):
    """It could lead to the solution."""
    simulate(course, TOY, 1)
    path = course.submitted / "student-001" / TOY / f"{TOY}.ipynb"
    path.unlink()
    path.symlink_to(course.solutions / TOY / f"{TOY}.ipynb")
    (graded,) = grade(course, TOY, [])
    assert graded.points == 0
    assert "01-toy.ipynb (a link)" in graded.failure
