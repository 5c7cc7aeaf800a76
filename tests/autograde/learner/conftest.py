import pytest

from tests.autograde.conftest import TOY


@pytest.fixture
def chapter(course, monkeypatch):
    monkeypatch.chdir(course.released / TOY)
    return course
