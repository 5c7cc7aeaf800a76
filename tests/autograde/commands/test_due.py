"""Due dates and extensions through the command line, and the lateness that follows from them."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from nbgrader.plugins import LateSubmissionPlugin

from autograde.cli import main
from autograde.course.lateness import Lateness, enter_extension, lateness, read_date
from tests.autograde.conftest import TOY


class APointADay(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return total_seconds_late // (24 * 3600)


ODD = ["-o'neill, [j] =@+", "Zoë Müller", "ada+b", "@ada"]


@pytest.fixture(autouse=True)
def berlin(monkeypatch):
    """A class has a clock on its wall."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def handed_in(course, student, when):
    """A row in the gradebook as grading makes it."""
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(TOY, student, timestamp=when)
        enter_extension(course, gradebook, student, TOY)
        return submission.total_seconds_late


def test_a_date_is_set_shown_changed_and_taken_away(course, capsys):
    def said(*arguments):
        assert main(["due", *arguments]) == 0
        return capsys.readouterr().out

    assert said() == f"{TOY}: no due date\n"
    assert f"{TOY}: 2026-12-01 23:59 CET" in said(TOY, "2026-12-01")
    assert f"{TOY}: 2026-12-01 23:59 CET" in said(TOY, "2026-12-01")
    assert f"{TOY}: 2026-07-01 18:30 CEST" in said(TOY, "2026-07-01T18:30")
    assert f"{TOY}: 2026-07-01 20:30 CEST" in said(TOY, "2026-07-01T18:30Z")
    assert said() == f"{TOY}: 2026-07-01 20:30 CEST\n"
    assert "no due date" in said(TOY, "none")


@pytest.mark.parametrize("date", ["tomorrow", "2026-13-01", "01.12.2026", "", "0001-01-01T00:00+14:00", "9999-12-31"])
def test_a_date_that_is_none_is_refused_in_a_line(course, capsys, date):
    status = main(["due", TOY, date])
    said = capsys.readouterr().err
    assert status == 0 or (status == 1 and said.count("\n") == 1 and "2026-12-01" in said)


def test_unknown_chapters_and_a_gradebook_that_knows_none(course, capsys):
    assert main(["due", "01-tyo", "2026-12-01"]) == 1
    assert "did you mean 01-toy" in capsys.readouterr().err
    with course.api.gradebook as gradebook:
        gradebook.remove_assignment(TOY)
    assert main(["due", TOY, "2026-12-01"]) == 1
    assert "run `autograde release 01-toy` first" in capsys.readouterr().err
    assert main(["due"]) == 0
    assert main(["extend", "ada", TOY, "--days", "1"]) == 0


@pytest.mark.parametrize("student", ODD)
def test_an_extension_counts_before_and_after_the_submission(course, capsys, student):
    assert main(["due", TOY, "2026-12-01T12:00Z"]) == 0
    assert main(["extend", "--days", "2", "--", student, TOY]) == 0
    assert f"{student}: 2 days longer for {TOY}, due 2026-12-03 13:00 CET" in capsys.readouterr().out
    assert handed_in(course, student, datetime(2026, 12, 4, 12)) == 24 * 3600
    found = lateness(course, student, TOY)
    assert (found.late, str(found)) == (timedelta(days=1), "1 day late (2 days longer)")
    assert main(["extend", "--days", "3", "--", student, TOY]) == 0
    assert str(lateness(course, student, TOY)) == "in time (3 days longer)"
    assert main(["extend", "--days", "0", "--", student, TOY]) == 0
    assert str(lateness(course, student, TOY)) == "3 days late"
    assert json.loads((course.root / "gradebook" / "extensions.json").read_text()) == {}


def test_a_day_longer_ends_at_the_same_hour_when_the_clock_is_set_back(course, capsys):
    assert main(["due", TOY, "2026-10-24"]) == 0  # a day before summer time ends
    handed_in(course, "Zoë", datetime(2026, 10, 25, 22, 30))  # 23:30 on the last day
    assert main(["extend", "ZOE\u0308", TOY, "--days", "1"]) == 0
    assert "Zoë: 1 day longer for 01-toy, due 2026-10-25 23:59 CET" in capsys.readouterr().out
    assert str(lateness(course, "Zoë", TOY)) == "in time (1 day longer)"
    with course.api.gradebook as gradebook:
        assert gradebook.find_submission(TOY, "Zoë").total_seconds_late == 0


def test_an_extension_without_a_due_date_troubles_nobody(course):
    assert main(["extend", "ada", TOY, "--days", "5"]) == 0
    assert handed_in(course, "ada", datetime(2026, 12, 4)) == 0
    assert str(lateness(course, "ada", TOY)) == ""
    assert main(["due", TOY, "2026-11-30"]) == 0
    with course.api.gradebook as gradebook:
        assert gradebook.find_submission(TOY, "ada").extension == timedelta(days=5)
    assert main(["due", TOY, "none"]) == 0
    with course.api.gradebook as gradebook:
        assert gradebook.find_submission(TOY, "ada").total_seconds_late == 0


def test_grading_measures_by_the_due_date_and_the_extension(course):
    """A penalty of a point a day, as nbgrader's own plugin takes it."""
    with (course.root / "nbgrader_config.py").open("a") as config:
        config.write("from tests.autograde.commands.test_due import APointADay\n")
        config.write("c.AssignLatePenalties.plugin_class = APointADay\n")
    assert main(["simulate", "1"]) == 0
    (course.submitted / "student-001" / TOY / "timestamp.txt").write_text("2026-12-04 12:00:00 UTC")
    assert main(["due", TOY, "2026-12-01T12:00Z"]) == 0
    assert main(["extend", "student-001", TOY, "--days", "1"]) == 0
    assert main(["grade", "--jobs", "1"]) == 0
    assert str(lateness(course, "student-001", TOY)) == "2 days late (1 day longer)"
    with course.api.gradebook as gradebook:
        submission = gradebook.find_submission(TOY, "student-001")
        assert (submission.score, submission.late_submission_penalty) == (9, 2)


def test_whoever_handed_nothing_in_is_not_late(course):
    assert main(["due", TOY, "2026-11-30"]) == 0
    assert lateness(course, "ada", TOY).late == timedelta(0)


def test_a_name_that_nobody_has_is_said(course, capsys):
    (course.submitted / "ada-lovelace" / TOY).mkdir(parents=True)
    assert main(["extend", "ada-lovelase", TOY, "--days", "1"]) == 0
    assert "did you mean ada-lovelace" in capsys.readouterr().out
    assert main(["extend", "ada-lovelace", TOY, "--days", "1"]) == 0
    assert "did you mean" not in capsys.readouterr().out


@pytest.mark.parametrize("days", ["-1", "100000"])
def test_days_out_of_range_are_refused(course, capsys, days):
    assert main(["extend", "ada", TOY, f"--days={days}"]) == 1
    assert "expected 0 to 3660" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["", "[]", '{"ada": 5}', '{"ada": {"01-toy": "x"}}', "\ud800"])
def test_a_damaged_store_is_said_in_a_line(course, capsys, damage):
    (course.root / "gradebook" / "extensions.json").write_bytes(damage.encode("utf-8", "surrogatepass"))
    assert main(["extend", "ada", TOY, "--days", "1"]) == 1
    said = capsys.readouterr().err
    assert "is damaged" in said and said.count("\n") == 1


def test_lateness_is_told_in_the_unit_that_says_enough():
    due = datetime(2026, 12, 1)
    told = [str(Lateness(due, due + timedelta(minutes=n))) for n in (-5, 0, 1, 59, 60, 60 * 47, 60 * 48)]
    assert told == [
        "in time",
        "in time",
        "1 minute late",
        "59 minutes late",
        "1 hour late",
        "1 day late",
        "2 days late",
    ]


def test_a_date_without_a_zone_is_this_machines():
    assert read_date("2026-07-01T12:00") == datetime(2026, 7, 1, 10)
    assert read_date("2026-12-01").replace(tzinfo=UTC) == datetime(2026, 12, 1, 22, 59, 59, tzinfo=UTC)
