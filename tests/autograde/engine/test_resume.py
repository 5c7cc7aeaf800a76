"""Nothing is lost: a grader that is killed leaves a run that the next one finishes, as if nothing had happened."""

import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from autograde.course.course import Course, CourseError
from autograde.course.grading import grade, read_graded
from autograde.course.simulate import simulate
from autograde.sandbox.forkserver import fork_server
from tests.autograde.conftest import TOY
from tests.autograde.course.test_grading import gradebook_rows, in_order

pytestmark = pytest.mark.forks

STUDENTS = 40
KILLS = 25  # in each of two tests


class Run:
    """A grading run in a fork of this process, which spares it the imports."""

    def __init__(self, course):
        self.heard, said = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                for _ in grade(Course(course.root), TOY, []):
                    os.write(said, b".")
            finally:
                os._exit(0)
        os.close(said)

    def hear(self, seconds: float) -> bool:
        """Whether another submission is done within this time; false too once the run has ended."""
        ready, _, _ = select.select([self.heard], [], [], seconds)
        return bool(ready) and os.read(self.heard, 1) == b"."

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.heard)


@pytest.fixture(scope="module")
def undisturbed(released_course, tmp_path_factory):
    """A class, graded in peace; and a warm fork server: kernels are its forks, not those of what is killed."""
    course = Course(tmp_path_factory.mktemp("undisturbed") / "course")
    shutil.copytree(released_course, course.root)
    simulate(course, TOY, STUDENTS)
    shutil.copy(course.root / "gradebook" / "gradebook.db", course.root / "released.db")
    fork_server().connect().close()
    finish(course)
    return course


@pytest.fixture
def handed_in(undisturbed, tmp_path):
    """The same class, not graded yet. In the end nothing of the runs that were killed may be left."""
    root = tmp_path / "course"
    shutil.copytree(undisturbed.root, root, ignore=shutil.ignore_patterns("autograded", "results", "gradebook.db"))
    shutil.copy(undisturbed.root / "released.db", root / "gradebook" / "gradebook.db")
    yield Course(root)
    deadline = time.monotonic() + 120
    while keepers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert keepers() == []


def keepers():
    """What the fork server has forked and what came of it: nothing, when all submissions are done."""
    family = psutil.Process(fork_server()._process.pid).children(recursive=True)
    serving = [process for process in family if "autograde.sandbox.forkserver" in process.cmdline()]
    return serving[2:]  # bubblewrap's second process, and the fork server itself


def finish(course):
    run = Run(course)
    assert [run.hear(seconds=300) for _ in range(STUDENTS)] == [True] * STUDENTS
    run.kill()


def assert_same(course, reference):
    """Every mark and every message is there once, and equal to those of the run that was let alone."""
    for student in reference.submissions(TOY):
        assert read_graded(course, TOY, student) == read_graded(reference, TOY, student)
    assert gradebook_rows(course) == gradebook_rows(reference)
    assert not list(course.root.rglob("*.part"))


def kill_again_and_again(course, dice, seconds):
    """Each run gets past what is done and at most one further submission, and dies within so many seconds.

    It dies sooner where one more is done meanwhile, so on no machine, however quick, do all runs together finish.
    """
    for _ in range(KILLS):
        run = Run(course)
        for _ in range(len(notebooks(course)) + dice.randint(0, 1)):
            run.hear(seconds=300)
        run.hear(seconds=dice.uniform(0, seconds))
        run.kill()
    assert 5 < len(notebooks(course)) < STUDENTS


def notebooks(course):
    return list(course.autograded.glob("*/*/*.ipynb"))


def test_a_run_killed_at_random_moments_is_finished_by_the_next(handed_in, undisturbed):
    kill_again_and_again(handed_in, random.Random(7), seconds=0.4)
    finish(handed_in)
    assert_same(handed_in, undisturbed)


def test_a_run_killed_while_it_writes_the_gradebook_is_finished_by_the_next(handed_in, undisturbed):
    """All work is done and kept; what remains are nbgrader's database and files."""
    shutil.copytree(undisturbed.results.folder, handed_in.results.folder)
    kill_again_and_again(handed_in, random.Random(5), seconds=0.08)
    finish(handed_in)
    assert_same(handed_in, undisturbed)


def test_the_command_line_is_killed_and_finishes_the_next_time(handed_in, undisturbed, tmp_path):
    """With its workers, of which none is left behind."""
    dice, log = random.Random(6), tmp_path / "log"
    command = [sys.executable, "-m", "autograde.cli", "grade", "--jobs", "2"]
    for enough in (1, 12):
        with log.open("w") as said:
            run = subprocess.Popen(command, cwd=handed_in.root, stderr=said, stdout=said)
        while len(list(handed_in.results.folder.glob("*.ipynb"))) < enough:
            assert run.poll() is None, log.read_text()
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.3))
        family = psutil.Process(run.pid).children(recursive=True)
        run.kill()
        run.wait()
        _, left = psutil.wait_procs(family, timeout=120)
        assert left == []
    last = subprocess.run(command, cwd=handed_in.root, capture_output=True, text=True, timeout=300)
    assert last.returncode == 1 and "Traceback" not in last.stderr  # uploads broke off: they are to be asked for again
    assert "ask for it again" in last.stderr
    assert_same(handed_in, undisturbed)


@pytest.fixture(scope="module")
def class_of_three(released_course, tmp_path_factory):
    course = Course(tmp_path_factory.mktemp("three") / "course")
    shutil.copytree(released_course, course.root)
    simulate(course, TOY, 3)
    return course, in_order(grade(course, TOY, []))


def _cut_off(course, path):
    path.chmod(0o644)
    path.write_text(path.read_text()[:-100])


def _left_over(course, path):
    path.with_suffix(".part").write_text("half")
    path.unlink()


def _no_rows(course, path):
    with closing(sqlite3.connect(course.root / "gradebook" / "gradebook.db")) as database, database:
        for table in ("grade", "comment", "submitted_notebook", "submitted_assignment", "student"):
            database.execute(f"DELETE FROM {table}")


def _wrong_marks(course, path):
    """As a run leaves it that was killed between the rows and the notebook of a submission that has changed."""
    path.unlink()
    with closing(sqlite3.connect(course.root / "gradebook" / "gradebook.db")) as database, database:
        database.execute("UPDATE grade SET auto_score = 1, needs_manual_grade = 1")


@pytest.mark.parametrize("damage", [_cut_off, _left_over, _no_rows, _wrong_marks])
def test_what_was_half_written_is_written_again(class_of_three, damage):
    course, results = class_of_three
    before = gradebook_rows(course)
    for path in notebooks(course):
        damage(course, path)
    assert in_order(grade(course, TOY, [])) == results
    assert gradebook_rows(course) == before
    assert [read_graded(course, TOY, result.student) for result in results] == results
    assert not list(course.root.rglob("*.part"))


def test_two_runs_do_not_write_at_once(class_of_three):
    course, _ = class_of_three
    first = grade(course, TOY, [])
    next(first)
    with pytest.raises(CourseError, match="another `autograde grade` is at work"):
        next(grade(course, TOY, []))
    first.close()
    assert len(list(grade(course, TOY, []))) == 3
