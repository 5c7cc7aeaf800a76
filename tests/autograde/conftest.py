import contextlib
import io
import shutil
import warnings
from functools import cache
from pathlib import Path

import nbformat
import nbgrader.api
import pytest
from nbgrader.apps import NbGraderApp
from traitlets.config import Application

from autograde.course.course import CONFIG_FILE, Course
from autograde.course.release import release
from autograde.course.simulate import simulate

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOY = "01-toy"
SLOW = """

class Slow(Choice):
    def _mark_value(self, value):
        import pathlib, time

        while not pathlib.Path("DOOR").exists():
            time.sleep(0.01)
        return super()._mark_value(value)


remedy = Slow("remedy", title="", prompt="", points=2, options=remedy.options)
"""


def make_course(root: Path, gradebook: str | None = None) -> Course:
    """A released course of one small chapter in `root`, under the book's own configuration.

    Its gradebook is at the URL given, else where that configuration has it.
    """
    root.mkdir(exist_ok=True)
    shutil.copy(ROOT / CONFIG_FILE, root)
    if gradebook is not None:
        with (root / CONFIG_FILE).open("a") as config:
            config.write(f"c.CourseDirectory.db_url = {gradebook!r}\n")
    shutil.copytree(HERE / "course", root / "solutions", ignore=shutil.ignore_patterns("__pycache__"))
    course = Course(root)
    release(course, [])
    return course


def run_nbgrader(root: Path, *words: str) -> str:
    """The command `nbgrader words` in the course `root`: what it prints.

    It runs in this process: to start another takes longer than most of what it does.
    """
    told = io.StringIO()
    with (
        contextlib.chdir(root),
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(told),
        warnings.catch_warnings(action="ignore"),  # its own
    ):
        try:
            NbGraderApp.launch_instance(list(words))
        except SystemExit as ended:
            assert not ended.code, told.getvalue()
        finally:
            type(Application.instance()).clear_instance()  # the next command reads its configuration anew
    return told.getvalue()


@pytest.fixture(scope="session", autouse=True)
def _alembic_is_asked_once() -> None:
    """For each new gradebook nbgrader starts a process, only to ask for the version of its own tables."""
    nbgrader.api.get_alembic_version = cache(nbgrader.api.get_alembic_version)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that fork this process come first, while it has one thread: a fork of several may wait for ever."""
    items.sort(key=lambda item: item.get_closest_marker("forks") is None)


@pytest.fixture(scope="session")
def released_course(tmp_path_factory) -> Path:
    """Made once: nbgrader takes seconds to set a gradebook up. Tests work in copies."""
    return make_course(tmp_path_factory.mktemp("released") / "course").root


@pytest.fixture
def course(released_course, tmp_path, monkeypatch) -> Course:
    root = tmp_path / "course"
    shutil.copytree(released_course, root)
    monkeypatch.chdir(root)
    return Course(root)


@pytest.fixture
def door(course, tmp_path) -> Path:
    """Two students hand the same in, and marking it waits until this file is there."""
    simulate(course, TOY, 2)
    solved = nbformat.read(course.solutions / TOY / f"{TOY}.ipynb", as_version=4)
    for student in course.submissions(TOY):
        nbformat.write(solved, course.submitted / student / TOY / f"{TOY}.ipynb")
    key = course.solutions / TOY / "key.py"
    key.write_text(key.read_text() + SLOW.replace("DOOR", str(tmp_path / "door")))
    return tmp_path / "door"
