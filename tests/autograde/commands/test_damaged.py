"""What is damaged among the course's own files is said in a line, with what to do; whatever is there stays."""

import re
import shutil

import pytest

from autograde.cli import main
from tests.autograde.conftest import TOY

NB, SHEET = f"{TOY}/{TOY}.ipynb", f"{TOY}/exercises.json"
SECOND = "02-toy"
HASHES = f"gradebook/released/{TOY}.json"
SOMEBODYS = f"chapters/{NB} cannot be read, and may be somebody's work: move it away, or pass --force"
NONE = f"{NB} is no notebook that can be read"
SEALED = f"the sealed release of {TOY} is damaged: run `autograde release {TOY}`"


@pytest.mark.parametrize(
    ("name", "content", "words", "said"),
    [
        (f"chapters/{NB}", b'{"cells": [', ["release"], SOMEBODYS),
        (f"chapters/{NB}", b"[]", ["release"], SOMEBODYS),
        (f"chapters/{NB}", b"\xff\xfe{\x00}\x00", ["release"], SOMEBODYS),
        (f"chapters/{SHEET}", b"{", ["release"], f"chapters/{SHEET} is not as it was released: move it away"),
        (f"solutions/{NB}", b"<<<<<<< HEAD\n{}", ["weave"], NONE),
        (f"solutions/{NB}", b"", ["release"], NONE),
        (f"solutions/{NB}", b"\xff", ["release", "--check"], NONE),
        (f"solutions/{SHEET}", b"[]", ["weave"], f"solutions/{SHEET} is damaged: put its last version back"),
        (f"gradebook/released/{SHEET}", b"[]", ["simulate", "1"], SEALED),
        (f"gradebook/released/{SHEET}", b"{", ["grade", "--jobs", "0"], SEALED),
        (HASHES, b"", ["grade", "--jobs", "0"], SEALED),
        (HASHES, b"[]", ["grade", "--jobs", "0"], SEALED),
        (HASHES, b"\xff", ["grade", "--jobs", "0"], SEALED),
    ],
)
def test_a_damaged_file(course, capsys, name, content, words, said):
    shutil.copytree(course.released / TOY, course.submitted / "ada" / TOY)
    (course.root / name).write_bytes(content)
    assert main(words) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "autograde: " in line]
    assert len(told) == 1 and said in told[0]
    assert (course.root / name).read_bytes() == content


def test_marks_are_entered_and_shown_where_only_the_hashes_are_damaged(course, capsys):
    shutil.copytree(course.solutions / TOY, course.submitted / "ada" / TOY)
    (course.root / HASHES).write_bytes(b"[]")
    assert main(["grade", "--jobs", "0"]) == 1
    assert re.search(r"ada +9/9", capsys.readouterr().out)
    assert main(["release"]) == main(["grade", "--jobs", "0"]) == 0


def test_a_damaged_release_can_be_made_anew(course):
    (course.released / NB).write_bytes(b"{")
    (course.released / SHEET).write_bytes(b"{")
    assert main(["release", "--force"]) == main(["release", "--check"]) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('"share",', '"other",'), "has no share, but the chapter was released with it"),
        (lambda text: None, "is not there, but the chapter was released with it"),
        (lambda text: f"{text}\nundefined\n", "NameError"),
    ],
    ids=["an exercise renamed", "no key", "no Python"],
)
def test_marks_stay_while_the_key_is_not_that_of_the_release(course, capsys, change, said):
    """Else an exercise's check would be one of nbgrader's tests, and pass wherever the learner makes it pass."""
    shutil.copytree(course.solutions / TOY, course.submitted / "ada" / TOY)
    assert main(["grade", "--jobs", "0"]) == main(["export"]) == 0
    before = (course.root / "gradebook" / "marks-csv.csv").read_text()
    path = course.solutions / TOY / "key.py"
    if text := change(path.read_text()):
        path.write_text(text)
    else:
        path.unlink()
    capsys.readouterr()
    assert main(["grade", "--jobs", "0"]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "autograde: " in line]
    assert len(told) == 1 and f"{TOY}/key.py" in told[0] and said in told[0]
    assert main(["export"]) == 0
    assert (course.root / "gradebook" / "marks-csv.csv").read_text() == before


@pytest.mark.parametrize(
    ("rule", "status", "said"),
    [
        ("'nowhere.Rule'", 1, "nbgrader_config.py: c.AssignLatePenalties.plugin_class cannot be used"),
        ("Rule", 1, "ada, 01-toy: Rule failed, its penalty stays (ZeroDivisionError"),
        ("NoNumber", 1, "ada, 01-toy: NoNumber failed, its penalty stays (ValueError('the late penalty is nan"),
    ],
)
@pytest.mark.parametrize("words", [["report"], ["export"]], ids=" ".join)
def test_a_rule_for_lateness_that_fails(course, capsys, rule, status, said, words):
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_assignment(TOY, duedate="2026-12-01T12:00:00")
        gradebook.update_or_create_student("ada")
        gradebook.update_or_create_submission(TOY, "ada", timestamp="2026-12-02T12:00:00")
    with (course.root / "nbgrader_config.py").open("a") as config:
        config.write("from nbgrader.plugins import BasePlugin\nclass Rule(BasePlugin):\n")
        config.write("    def late_submission_penalty(self, *late):\n        return 1 / 0\n")
        config.write("class NoNumber(BasePlugin):\n")
        config.write("    def late_submission_penalty(self, *late):\n        return float('nan')\n")
        config.write(f"c.AssignLatePenalties.plugin_class = {rule}\n")
    assert main(words) == status
    told = [line for line in capsys.readouterr().err.splitlines() if "autograde: " in line]
    assert len(told) == 1 and said in told[0]


@pytest.fixture
def two_chapters(course):
    """Graded both, and reported."""
    shutil.copytree(course.solutions / TOY, course.solutions / SECOND)
    (course.solutions / SECOND / f"{TOY}.ipynb").rename(course.solutions / SECOND / f"{SECOND}.ipynb")
    assert main(["release", SECOND]) == main(["simulate", "2"]) == main(["grade", "--jobs", "0"]) == 0
    assert main(["report"]) == 0
    return course


def test_a_report_needs_no_key_and_feedback_names_its_line(two_chapters, capsys):
    """The titles are those of the release."""
    written = [two_chapters.root / "gradebook" / name for name in ("report.html", "marks.csv")]
    before = [path.read_bytes() for path in written]
    with (two_chapters.solutions / TOY / "key.py").open("a") as key:
        key.write("\n1 / 0\n")
    assert main(["report"]) == 0
    assert [path.read_bytes() for path in written] == before
    capsys.readouterr()
    assert main(["feedback"]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if "autograde: " in line]
    assert len(told) == 2 and all(re.search(rf"{TOY}/key.py, line \d+: ZeroDivisionError", line) for line in told)
    assert len(list(two_chapters.feedback.glob(f"*/{SECOND}/*.html"))) == 2


@pytest.mark.parametrize("words", [["report"], ["feedback"], ["grade", "--jobs", "0"]], ids=" ".join)
def test_a_chapter_whose_seal_is_gone_stops_no_other(two_chapters, capsys, words):
    shutil.rmtree(two_chapters.root / "gradebook" / "released" / TOY)
    capsys.readouterr()
    assert main(words) == 1
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if "autograde: " in line]
    assert len(lines) == 1 and f"{TOY} is not released: run `autograde release {TOY}` first" in lines[0]
    assert f"{SECOND}: 2 feedback pages" in told.out or "student-001      9/9" in told.out


@pytest.mark.parametrize("name", [NB, SHEET])
def test_a_report_leaves_out_what_cannot_be_read_and_has_the_rest(two_chapters, capsys, name):
    (two_chapters.root / "gradebook" / "released" / name).write_bytes(b"[]")
    capsys.readouterr()
    assert main(["report"]) == 1
    told = capsys.readouterr()
    assert told.err == f"autograde: {SEALED}\n"
    assert re.search(rf"^{SECOND}\nstudent.*\nstudent-001 +9/9", told.out, re.MULTILINE) and TOY not in told.out
    path = two_chapters.root / "gradebook" / "marks.csv"
    after = path.read_text()
    assert SECOND in after and TOY not in after
    assert main(["report", TOY]) == 1
    assert path.read_text() == after  # nothing is left to report, and the last report stays
