import shutil
from pathlib import Path

import pytest

from autograde.course.course import CONFIG_FILE, Course
from autograde.course.release import release

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOY = "01-toy"


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
