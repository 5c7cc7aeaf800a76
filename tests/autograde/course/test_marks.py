"""Every list has nbgrader's numbers: what a teacher changes by hand is in the report, marks.csv and the terminal."""

import csv

import pytest

from autograde.cli import main
from autograde.course.marks import read_marks
from autograde.course.simulate import simulate
from tests.autograde.conftest import CONFIG_FILE, TOY, run_nbgrader


@pytest.fixture
def marked(course):
    """Three graded submissions: all right, some, and none; late work loses everything."""
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write('c.LateSubmissionPlugin.penalty_method = "zero"\n')
    simulate(course, TOY, 3)
    assert main(["grade", "--jobs", "1"]) == 0
    return course


def export(course):
    """What `nbgrader export` says, by student."""
    run_nbgrader(course.root, "export")
    with (course.root / "grades.csv").open(newline="") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def csv_sums(course):
    sums: dict[str, float] = {}
    with (course.root / "gradebook" / "marks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            sums[row["student"]] = sums.get(row["student"], 0) + float(row["points"])
    return sums


def all_agree(course, capsys):
    """The points of everybody, once every list is seen to say the same."""
    capsys.readouterr()
    assert main(["report"]) == 0
    shown, page = capsys.readouterr().out, (course.root / "gradebook" / "report.html").read_text()
    points = {student: float(row["score"]) for student, row in export(course).items()}
    assert points == {marks.student: marks.points for marks in read_marks(course, TOY)} == csv_sums(course)
    for student, score in points.items():
        assert f"{student}  {score:>5g}/9" in shown
        assert f'>{student}</a><td class="points">{score:g} / 9' in page
    return points


def test_manual_marks_and_extra_credit_count_everywhere(marked, capsys):
    before = all_agree(marked, capsys)
    with marked.api.gradebook as gradebook:
        grade = gradebook.find_grade("cut-rows", TOY, TOY, "student-003")
        grade.manual_score, grade.needs_manual_grade, grade.extra_credit = 3.0, False, 0.5
        gradebook.find_comment("cut-rows-answer", TOY, TOY, "student-003").manual_comment = "Nearly: see the order."
        gradebook.db.commit()
    after = all_agree(marked, capsys)
    assert after["student-003"] == before["student-003"] + 3.5
    for again in (["grade", "--jobs", "1"], ["grade", "--jobs", "1", "--regrade"]):
        assert main(again) == 0
        assert all_agree(marked, capsys) == after
    assert main(["feedback"]) == 0
    page = (marked.feedback / "student-003" / TOY / f"{TOY}.html").read_text()
    assert "Nearly: see the order." in page and f"{after['student-003']:g} of 9 points" in page
    assert "3.5 of 4 points" in page and "0 of 4 points" not in page  # what the checks gave counts no more


def test_a_new_due_date_and_a_new_timestamp_count_at_the_next_run(marked, capsys):
    full = all_agree(marked, capsys)["student-001"]
    stamp = marked.submitted / "student-001" / TOY / "timestamp.txt"
    stamp.write_text("2030-01-02 00:00:00 UTC")
    with marked.api.gradebook as gradebook:
        gradebook.update_or_create_assignment(TOY, duedate="2030-01-01 00:00:00 UTC")
    results = {path: path.stat().st_mtime_ns for path in (marked.autograded).rglob("*.ipynb")}
    assert main(["grade", "--jobs", "1"]) == 0
    assert "late: 9 less 9" in capsys.readouterr().out
    assert all_agree(marked, capsys)["student-001"] == 0
    stamp.write_text("2029-12-31 00:00:00 UTC")
    assert all_agree(marked, capsys)["student-001"] == full
    with marked.api.gradebook as gradebook:
        gradebook.update_or_create_assignment(TOY, duedate="2029-01-01 00:00:00 UTC")
    assert all_agree(marked, capsys)["student-001"] == 0
    assert results == {path: path.stat().st_mtime_ns for path in (marked.autograded).rglob("*.ipynb")}  # not anew


def test_a_timestamp_that_cannot_be_read_is_said(marked, capsys):
    (marked.submitted / "student-002" / TOY / "timestamp.txt").write_text("the day before yesterday")
    for command in (["grade", "--jobs", "1"], ["report"]):
        assert main(command) == 1
        assert f"student-002, {TOY}: timestamp.txt holds no date that can be read" in capsys.readouterr().err


def test_who_withdraws_is_in_no_list(marked, capsys):
    with marked.api.gradebook as gradebook:
        gradebook.remove_student("student-002")
    assert all_agree(marked, capsys).keys() == {"student-001", "student-003"}
