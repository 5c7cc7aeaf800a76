"""`autograde simulate` through the command line: it touches nothing that it did not make."""

import pytest

from autograde.cli import main
from tests.autograde.conftest import TOY


def files(course):
    return {path: path.read_bytes() for path in sorted(course.submitted.rglob("*")) if path.is_file()}


def test_the_same_class_is_simulated_twice_and_grows(course, capsys):
    assert main(["simulate", "2"]) == 0
    before = files(course)
    assert main(["simulate", "2"]) == 0
    assert files(course) == before
    assert main(["simulate", "3", TOY]) == 0
    assert "3 simulated submissions" in capsys.readouterr().out


@pytest.mark.parametrize("real", ["student-002", f"student-002/{TOY}", "student-002/02-another"])
def test_a_real_student_of_that_name_keeps_everything(course, capsys, real):
    place = course.submitted / real
    place.mkdir(parents=True)
    (place / "work.txt").write_text("mine")
    before = files(course)
    assert main(["simulate", "3"]) == 1
    said = capsys.readouterr().err
    assert "student-002 was not made by `autograde simulate`" in said and said.count("\n") == 1
    assert files(course) == before


def test_a_real_submission_in_a_simulated_students_folder_is_kept(course, capsys):
    assert main(["simulate", "1"]) == 0
    (course.submitted / "student-001" / f"{TOY}.simulated").rename(course.submitted / "student-001" / "02-x.simulated")
    before = files(course)
    assert main(["simulate", "1"]) == 1
    assert f"student-001/{TOY} was not made by" in capsys.readouterr().err
    assert files(course) == before


@pytest.mark.parametrize("count", ["-1", "1.5", "many", "10000"])
def test_a_count_that_is_none_is_refused(course, capsys, count):
    with pytest.raises(SystemExit, match="2"):
        main(["simulate", count])
    assert "Traceback" not in capsys.readouterr().err
