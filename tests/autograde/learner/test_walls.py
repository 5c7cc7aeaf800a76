"""A learner's kernel imports `learner` and `answers`, and nothing else of autograde: no key can be reached there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.autograde.conftest import TOY
from tests.repository import rooms

LEARNER = sorted(f"autograde.learner.{path.stem}" for path in (rooms.ROOT / "autograde/learner").glob("[!_]*.py"))
REPORT = """
import json
print()
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] in ("autograde", "torch", "nbgrader"))))
"""


def loaded(code: str, folder: Path) -> set[str]:
    """The modules of autograde, torch and nbgrader that a fresh Python has loaded after `code`."""
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(rooms.ROOT)!r})\n{code}{REPORT}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def on_the_learners_side(name: str) -> bool:
    return name in ("autograde", "autograde.learner", "autograde.answers") or name.startswith(
        ("autograde.learner.", "autograde.answers.")
    )


@pytest.mark.parametrize("module", LEARNER)
def test_importing_a_module_of_the_learners_side_loads_no_other(module, tmp_path):
    assert [name for name in loaded(f"import {module}", tmp_path) if not on_the_learners_side(name)] == []


def test_working_through_a_chapter_loads_no_other(course):
    """Ticks, messages, the worked solution and the progress page: what is imported late is loaded here."""
    code = """
from contextlib import suppress
from autograde import ask, check, solution
from autograde.learner.progress import my_progress
check("tokens", 16)
for wrong in (1, 2, 3):
    with suppress(AssertionError):
        check("tokens", wrong)
solution("tokens")
ask("tokens")
my_progress()
"""
    seen = loaded(code, course.released / TOY)
    assert [name for name in seen if not on_the_learners_side(name)] == []
    assert "autograde.learner.progress" in seen


def test_nothing_else_can_be_reached_by_following_imports():
    """Also not by an import inside of a function that no test calls."""
    waiting, found = [rooms.ROOT / "autograde" / "__init__.py"], set[Path]()
    waiting += (rooms.ROOT / "autograde" / "learner").glob("*.py")
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in rooms.imported(path, "autograde"):
            whole, part = rooms.ROOT.joinpath(*name.split(".")), rooms.ROOT.joinpath(*name.split(".")[:-1])
            places = (whole.with_suffix(".py"), whole / "__init__.py", part.with_suffix(".py"), part / "__init__.py")
            waiting += [place for place in places if place.is_file()]
    assert {path.parent.name for path in found} == {"autograde", "learner", "answers"}
