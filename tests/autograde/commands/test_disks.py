"""A read-only or full disk is said in one line, with where, why and what to do; nothing that was there is lost."""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import traceback
import zipfile
from pathlib import Path

import pytest

from autograde.cli import main
from autograde.course.course import Course
from autograde.course.file_errors import refused
from autograde.course.simulate import simulate
from autograde.engine import workers
from autograde.engine.watch import Watch
from autograde.sandbox import confine
from tests.autograde.conftest import TOY

pytestmark = pytest.mark.forks
_MS_REMOUNT, _READ_ONLY = 0x20, 0x20 | confine._MS_BIND | confine._MS_RDONLY


def read_only(place: Path) -> None:
    confine._mount(str(place), str(place), "", confine._MS_BIND, "")
    confine._mount("", str(place), "", _READ_ONLY, "")


def full(place: Path) -> None:
    """A disk of its own for what is in a folder, and no byte more."""
    copy = Path(tempfile.mkdtemp(), "copy")
    shutil.copytree(place, copy)
    confine._mount("full", str(place), "tmpfs", 0, "size=8m")
    shutil.copytree(copy, place, dirs_exist_ok=True)
    for number in range(100):  # each processor may keep some room for itself
        with contextlib.suppress(OSError), (place / f"rest-{number}").open("wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))


def run_on(disk, place: Path, words: list[str]) -> tuple[int, list[str]]:
    """A command in a fork of this process that has mounts of its own: its status, and the lines of its complaints."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        status = 99
        try:
            spaces = confine._CLONE_NEWNS | (confine._CLONE_NEWUSER if os.geteuid() else 0)
            confine._succeed(confine._libc.unshare(spaces), "a mount namespace")
            confine._mount("", "/", "", confine._MS_REC | confine._MS_PRIVATE, "")
            disk(place)
            sys.stdout = sys.stderr = os.fdopen(writes, "w")
            status = main(words)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writes)
    with os.fdopen(reads) as told:
        lines = told.read().splitlines()
    return os.waitstatus_to_exitcode(os.wait()[1]), lines


@pytest.fixture(scope="module")
def prepared(released_course, tmp_path_factory) -> Path:
    """Made once, and copied for each test."""
    root = tmp_path_factory.mktemp("disks") / "course"
    shutil.copytree(released_course, root)
    simulate(Course(root), TOY, 1)
    with zipfile.ZipFile(root / "class.zip", "w") as archive:
        archive.write(root / "gradebook/submitted/student-001" / TOY / f"{TOY}.ipynb", f"eve/{TOY}/{TOY}.ipynb")
    key = root / "solutions" / TOY / "key.py"
    key.write_text(key.read_text().replace("Count one side first.", "Count a side first."))  # there is news to weave
    return root


@pytest.fixture
def handed_in(prepared, tmp_path, monkeypatch) -> Course:
    shutil.copytree(prepared, tmp_path / "course", symlinks=True)
    monkeypatch.chdir(tmp_path / "course")
    return Course(tmp_path / "course")


COMMANDS = [
    ("gradebook", ["grade", "--jobs", "0"]),
    ("gradebook", ["report"]),
    ("gradebook", ["due", TOY, "2026-12-01"]),
    ("gradebook", ["extend", "ada", TOY, "--days", "2"]),
    ("gradebook", ["simulate", "3"]),
    ("gradebook", ["collect", "class.zip"]),
    ("solutions", ["weave"]),
    ("chapters", ["release", "--force"]),
    ("gradebook", ["release", "--force"]),
]


CASES = [
    pytest.param(disk, place, words, id=f"{disk.__name__}-{place}-{words[0]}")
    for disk in (read_only, full)
    for place, words in COMMANDS
    if (disk, words[0]) != (full, "grade")  # it would get as far as a sandbox, which this fork cannot have
]


@pytest.mark.parametrize(("disk", "place", "words"), CASES)
def test_a_disk_that_cannot_be_written_is_said_in_a_line(handed_in, disk, place, words):
    folder = (handed_in.root / place).resolve()
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    status, lines = run_on(disk, folder, words)
    complaints = [line for line in lines if "cannot be used" in line]
    assert status == 1 and len(complaints) == 1, lines
    assert str(folder) in complaints[0] and "Traceback" not in "".join(lines)
    if disk is read_only:
        assert f"Read-only file system: run `sudo mount -o remount,rw {folder}`, or copy" in complaints[0]
    else:
        assert "No space left on device: make room there, as `df -h" in complaints[0]
    assert before == {path: path.read_bytes() for path in before}


def test_the_doctor_names_what_cannot_be_written(handed_in):
    for place in ("gradebook", "chapters", "solutions"):
        folder = (handed_in.root / place).resolve()
        status, lines = run_on(read_only, folder, ["doctor"])
        (place,) = [number for number, line in enumerate(lines) if "Read-only file system" in line]
        assert status == 1 and lines[place].startswith(f"✗ {folder}")
        assert lines[place + 1].startswith(f"    run `sudo mount -o remount,rw {folder}`")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_while_grading_is_no_submissions_fault(monkeypatch, handed_in, number):
    def fail(job):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(workers, "grade_submission", fail)
    job = handed_in.job(TOY, "student-001")
    with pytest.raises(OSError, match=os.strerror(number)):
        list(workers.run_jobs([job], 0, "", Watch()))


def test_a_quota_has_a_command_of_its_own(handed_in):
    said = refused(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))
    assert (
        said == "a file cannot be used: Disk quota exceeded: make room there, as `quota -s` says how much, "
        "then run this again"
    )
