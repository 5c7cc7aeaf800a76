"""From submissions to marks, through nbgrader's own gradebook, in real kernels."""

import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from autograde.answers.deserialize import unpack
from autograde.cli import main
from autograde.course.course import Course, CourseError
from autograde.course.grading import grade, read_graded
from autograde.course.marks import read_marks, spread, summarise
from autograde.course.report import read_chapter, table, write_report
from autograde.course.simulate import TEMPERAMENTS, simulate
from autograde.engine.execute import Limits
from tests.autograde.conftest import TOY


def gradebook_rows(course):
    """Every mark in nbgrader's database."""
    with sqlite3.connect(course.root / "gradebook" / "gradebook.db") as database:
        rows = database.execute(
            """SELECT student.id, base_cell.name, grade.auto_score, grade.needs_manual_grade
               FROM grade JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id
               JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id
               JOIN student ON submitted_assignment.student_id = student.id
               JOIN base_cell ON grade.cell_id = base_cell.id ORDER BY 1, 2"""
        ).fetchall()
    database.close()
    return rows


def in_order(results):
    return sorted(results, key=lambda graded: graded.student)


@pytest.fixture(scope="module")
def graded(released_course, tmp_path_factory):
    """A class of every temperament, graded once: the course, who answered what, and the results."""
    course = Course(tmp_path_factory.mktemp("class") / "course")
    shutil.copytree(released_course, course.root)
    group = simulate(course, TOY, len(TEMPERAMENTS))
    return course, {learner.student: learner for learner in group}, in_order(grade(course, TOY, [], workers=2))


UNREADABLE = {"upload broke off", "no cells"}


def test_every_learner_gets_what_their_answers_are_worth(graded):
    _, group, results = graded
    assert [result.student for result in results] == list(group)
    for result in results:
        learner = group[result.student]
        if learner.temperament in UNREADABLE:  # which is not the same as unanswered
            assert {(verdict["points"], verdict["status"]) for verdict in result.verdicts} == {(0, "lost")}
            continue
        assert not result.failure
        for verdict in result.verdicts:
            answer = learner.answers[verdict["exercise"]]
            if answer == "right":
                assert verdict["points"] == verdict["out_of"]
            elif answer == "blank":
                assert (verdict["points"], verdict["status"]) == (0, "blank")
            else:
                assert verdict["points"] < verdict["out_of"]
                assert verdict["misconception"] == answer


def test_the_solved_notebook_scores_full_marks_and_the_untouched_release_0(graded):
    _, group, results = graded
    points = {group[result.student].temperament: result.points / result.out_of for result in results}
    assert points["sure-footed"] == 1
    assert points["blank"] == 0


def test_a_broken_submission_says_why_it_earned_nothing(graded):
    _, group, results = graded
    for result in results:
        if group[result.student].temperament in UNREADABLE:
            assert result.points == 0 and "could not be read, ask for it again" in result.failure


def test_the_gradebook_holds_the_same_marks(graded):
    course, _, results = graded
    marks = {(student, cell): score for student, cell, score, _ in gradebook_rows(course)}
    assert marks == {(r.student, v["exercise"]): v["points"] for r in results for v in r.verdicts}
    assert not any(manual for *_, manual in gradebook_rows(course))


def test_grading_twice_gives_the_same_gradebook(graded):
    course, _, results = graded
    before = gradebook_rows(course)
    assert in_order(grade(course, TOY, [])) == results
    assert list(grade(course, TOY, ["student-002"], regrade=True)) == [results[1]]
    assert gradebook_rows(course) == before


def test_nbgraders_own_command_gives_the_same_marks(graded):
    course, _, results = graded
    before = gradebook_rows(course)
    command = [sys.executable, "-m", "nbgrader", "autograde", TOY, "--force", "--student", "student-003"]
    subprocess.run(command, cwd=course.root, check=True, capture_output=True, timeout=300)
    assert gradebook_rows(course) == before
    assert read_graded(course, TOY, "student-003") == results[2]


def test_a_changed_submission_is_graded_again(graded):
    course, _, results = graded
    path = course.submitted / "student-005" / TOY / f"{TOY}.ipynb"
    before = path.read_text()
    path.write_text(before.replace("tokens = ...", "tokens = 16"))
    (again,) = grade(course, TOY, ["student-005"])
    assert again.points == 1
    path.write_text(before)
    assert list(grade(course, TOY, ["student-005"])) == [results[4]]


def test_a_changed_key_or_environment_is_new_work(graded, monkeypatch):
    course, _, _ = graded
    job = course.job(TOY, "student-001")
    assert course.job(TOY, "student-001").fingerprint == job.fingerprint
    changes = [
        {"submitted": job.submitted + b" "}, {"key": job.key + b"#"}, {"sheet": job.sheet + b" "},
        {"template": job.template + b" "}, {"environment": "another"}, {"student": "ada"}, {"limits": Limits(memory=1)},
    ]  # fmt: skip
    assert len({replace(job, **change).fingerprint for change in changes} - {job.fingerprint}) == len(changes)


def test_feedback_shows_points_and_message_and_no_hidden_case(graded, monkeypatch, capsys):
    course, _, results = graded
    monkeypatch.chdir(course.root)
    assert main(["feedback", TOY]) == 0
    page = (course.feedback / "student-003" / TOY / f"{TOY}.html").read_text(encoding="utf-8")
    for verdict in results[2].verdicts:
        assert f"{verdict['points']:g} of {verdict['out_of']:g} point" in page
    pages = "".join(path.read_text(encoding="utf-8") for path in course.feedback.rglob("*.html"))
    images = unpack(course.key(TOY)["cut-rows"].cases[1][1])[0]
    assert not any(str(number)[:8] in pages for number in images.flatten().tolist())
    said = {"student-006": "could not be read, ask for it again", "student-007": "Repaired before grading"}
    for student, words in said.items():
        assert words in (course.feedback / student / TOY / f"{TOY}.html").read_text(encoding="utf-8")


def test_the_report_names_every_student_and_the_most_common_misconceptions(graded, monkeypatch, capsys):
    course, group, results = graded
    monkeypatch.chdir(course.root)
    assert main(["report"]) == 0
    page = (course.root / "gradebook" / "report.html").read_text(encoding="utf-8")
    assert all(student in page for student in group)
    summary = {row.id: row for row in summarise(course, TOY, read_marks(course, TOY))}
    assert summary["positions"].misconceptions[0][0] == "thought otherwise"
    verdicts = [verdict for result in results for verdict in result.verdicts]
    total = sum(verdict["points"] for verdict in verdicts if verdict["exercise"] == "remedy")
    assert summary["remedy"].share == pytest.approx(total / (2 * len(results)))
    assert sum(spread(read_marks(course, TOY))) == len(results) and spread(read_marks(course, TOY))[9] == 1
    marks = (course.root / "gradebook" / "marks.csv").read_text(encoding="utf-8").splitlines()
    assert len(marks) == 1 + len(results) * 5


def test_a_renamed_notebook_is_graded_and_it_is_said(course, capsys):
    simulate(course, TOY, 2)
    lost = course.submitted / "student-001" / TOY
    (lost / f"{TOY}.ipynb").rename(lost / "Untitled.ipynb")
    results = in_order(grade(course, TOY, []))
    assert any("Graded is Untitled.ipynb" in note for note in results[0].notes)
    assert [result.failure for result in results] == ["", ""] and all(result.verdicts for result in results)
    assert "not graded" not in table(read_marks(course, TOY))


def test_unknown_names_suggest_the_nearest(course, capsys):
    simulate(course, TOY, 1)
    with pytest.raises(CourseError, match="did you mean student-001"):
        list(grade(course, TOY, ["student-01"]))
    assert main(["grade", "01-tyo"]) == 1
    assert "did you mean 01-toy" in capsys.readouterr().err


def test_an_empty_class_is_no_error(course, capsys):
    assert main(["grade"]) == 0
    assert "nothing is handed in yet" in capsys.readouterr().out
    assert main(["report"]) == 0
    assert "Nothing is graded yet" in write_report(course, [read_chapter(course, TOY)]).read_text()


def test_outside_a_course_the_command_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["grade"]) == 1
    assert "run this inside the course's folder" in capsys.readouterr().err


def test_an_unreleased_chapter_says_what_to_run(course, capsys):
    shutil.rmtree(course.seal(TOY).folder)
    assert main(["simulate", "3"]) == 1
    assert "run `autograde release 01-toy` first" in capsys.readouterr().err


def test_marks_cannot_smuggle_formulas_into_a_spreadsheet(course):
    """A name that only looks like one stays as it is: an import has to find it again. What can act needs ( | or !."""
    simulate(course, TOY, 2)
    (course.submitted / "student-001").rename(course.submitted / "=cmd|' C calc'!A0")
    (course.submitted / "student-002").rename(course.submitted / "-o'neill [=@+]")
    list(grade(course, TOY, []))
    write_report(course, [read_chapter(course, TOY)])
    marks = (course.root / "gradebook" / "marks.csv").read_text()
    assert "\n'=cmd|" in marks and "\n=" not in marks and "\n-o'neill [=@+]," in marks


def test_the_same_class_is_simulated_twice(course):
    assert simulate(course, TOY, 12) == simulate(course, TOY, 12)
    submitted = sorted(course.submitted.rglob("*.ipynb"))
    assert len(submitted) == 12
    assert json.loads(submitted[0].read_text())["cells"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.Limits.cell_second = 60", "c.Limits.cell_second, an unknown setting; did you mean cell_seconds?"),
        ("c.Limits.cell_seconds = 0", "c.Limits.cell_seconds is 0: expected a number, 1 or more"),
        ("c.Limits.cell_seconds = '60'", "c.Limits.cell_seconds is '60': expected a number, 1 or more"),
        ("c.Limits.notebook_seconds = float('nan')", "c.Limits.notebook_seconds is nan: expected a number, 0 or more"),
        ("c.Limits.memory = 1.5", "c.Limits.memory is 1.5: expected a whole number, 1 or more"),
    ],
)
def test_a_limit_that_cannot_be_is_said_before_anything_is_graded(course, capsys, line, message):
    simulate(course, TOY, 1)
    with (course.root / "nbgrader_config.py").open("a") as config:
        config.write(f"{line}\n")
    assert main(["grade"]) == 1
    assert message in capsys.readouterr().err
    assert not course.autograded.exists()
