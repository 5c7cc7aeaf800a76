"""What a command may not write, or the disk has no room for, is named in a line with what to do; nothing is lost."""

import ctypes
import shutil
import sqlite3
import subprocess
import zipfile
from contextlib import closing

import pytest

from autograde.cli import main
from autograde.course.course import Course
from autograde.course.marks import read_marks
from autograde.course.simulate import simulate
from tests.autograde.conftest import TOY, make_course

_OVERRIDES = 0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@pytest.fixture(scope="module")
def graded_once(tmp_path_factory):
    course = make_course(tmp_path_factory.mktemp("graded") / "course")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        simulate(course, TOY, 1)
        assert main(["grade", "--jobs", "0"]) == main(["feedback"]) == main(["report"]) == 0
        shutil.copytree(course.submitted / "student-001", course.submitted / "ada")  # whom nobody graded yet
    return course.root


@pytest.fixture
def graded(graded_once, tmp_path, monkeypatch):
    root = tmp_path / "course"
    shutil.copytree(graded_once, root)
    monkeypatch.chdir(root)
    return Course(root)


@pytest.fixture
def modes_hold():
    """For root, too, who may disregard them."""
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~_OVERRIDES  # of the effective ones
    assert libc.capset(header, without) == 0
    yield
    assert libc.capset(header, before) == 0


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        (".", ["grade", "--jobs", "0"]),
        ("gradebook", ["report"]),
        ("gradebook", ["export"]),
        ("gradebook", ["extend", "ada", TOY, "--days", "2"]),
        ("gradebook/gradebook.db", ["due", TOY, "2026-12-01"]),
        ("gradebook/gradebook.db", ["grade", "--jobs", "0"]),
        ("gradebook/submitted", ["collect", "class.zip"]),
        ("gradebook/autograded", ["grade", "--jobs", "0"]),
        ("gradebook/feedback", ["feedback"]),
        ("gradebook/released", ["release"]),
        ("chapters", ["release"]),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_may_not_be_written_is_named_with_what_to_do(graded, modes_hold, capfd, closed, words):
    with zipfile.ZipFile("class.zip", "w") as archive:
        archive.write(graded.submitted / "ada" / TOY / f"{TOY}.ipynb", f"eve/{TOY}/{TOY}.ipynb")
    place = (graded.root / closed).resolve()
    subprocess.run(["chmod", "-R", "a-w", place], check=True)
    try:
        assert main(words) == 1
    finally:
        subprocess.run(["chmod", "-R", "u+w", place], check=True)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith(("autograde: ", "eve: "))]
    assert len(told) == 1 and f"{place} cannot be used: Permission denied: run `chmod -R u+rwX {place}`" in told[0]
    assert main(words) == 0


@pytest.mark.parametrize("closed", ["", "ada", f"ada/{TOY}"], ids=["all", "a student", "a chapter of a student"])
@pytest.mark.parametrize(
    "words", [["grade", "--jobs", "0"], ["feedback"], ["report"], ["export"]], ids=lambda it: it[0]
)
def test_a_submission_that_may_not_be_read_is_named_and_graded_later(graded, modes_hold, capsys, closed, words):
    place = graded.submitted / closed
    place.chmod(0)
    try:
        assert main(words) == 1
    finally:
        place.chmod(0o755)
    assert f"{place} cannot be used: Permission denied: run `chmod -R u+rwX {place}`" in capsys.readouterr().err
    assert main(["grade", "--jobs", "0"]) == 0
    assert "ada" in capsys.readouterr().out


def test_a_mark_stays_while_its_submission_may_not_be_read(graded, modes_hold):
    folder = graded.submitted / "student-001" / TOY
    before = [(marks.student, marks.points) for marks in read_marks(graded, TOY) if marks.student == "student-001"]
    folder.chmod(0)
    try:
        assert main(["grade", "--regrade", "--jobs", "0"]) == 1
    finally:
        folder.chmod(0o755)
    assert before == [(m.student, m.points) for m in read_marks(graded, TOY) if m.student == "student-001"] != []


def test_a_read_only_source_is_released(graded, modes_hold):
    (graded.solutions / TOY / "pictures").mkdir()
    (graded.solutions / TOY / "pictures" / "cat.txt").write_text("A cat.")
    subprocess.run(["chmod", "-R", "a-w", graded.solutions], check=True)
    try:
        assert main(["release"]) == main(["release"]) == 0
    finally:
        subprocess.run(["chmod", "-R", "u+w", graded.solutions], check=True)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda gradebook: gradebook.execute("alter table grade drop column extra_credit"), "nbgrader db upgrade"),
        (None, "is damaged (file is not a database): put a backup of it in its place"),
    ],
    ids=["of an older nbgrader", "no gradebook"],
)
@pytest.mark.parametrize(
    "words", [["feedback"], ["report"], ["export"], ["due", TOY, "none"], ["grade", "--jobs", "0"]]
)
def test_a_gradebook_that_cannot_be_read(graded, capsys, damage, said, words):
    path = graded.root / "gradebook" / "gradebook.db"
    if damage is None:
        path.write_bytes(b"no gradebook" * 1000)
    else:
        with closing(sqlite3.connect(path)) as gradebook:
            damage(gradebook)
    status = main(words)
    told = [line for line in capsys.readouterr().err.splitlines() if "autograde: " in line]
    if words[0] == "due" and damage:  # it asks for no grade
        assert (status, told) == (0, [])
    else:
        assert status == 1 and len(told) == 1 and said in told[0]
