"""From `solutions/` to `chapters/`: weave, then nbgrader's own generate_assignment, then a search for leaks."""

from __future__ import annotations

import filecmp
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

from autograde.authoring.weave import BEGIN, END, weave
from autograde.course.course import CONFIG_FILE, Course, CourseError, succeed
from autograde.course.plugins import STUB
from autograde.learner.progress import FILE_NAME as PROGRESS_FILE


def release(
    course: Course, chapters: list[str], feedback: str = "full", variants: bool = False, force: bool = False
) -> list[str]:
    """Release the chapters named, or all; returns their names. With `variants`, students get numbers of their own.

    Raises:
        CourseError: a learner has worked in the released copy (unless `force`), or something would leak.
    """
    names = course.choose(chapters)
    for name in names:
        if not force:
            _refuse_to_overwrite_work(course, name)
        if course.is_graded(name):
            weave(course.solutions / name, feedback, course.id if variants else "")
        succeed(course.api.generate_assignment(name, force=True), f"releasing {name}")
        leaks = list(find_leaks(course, name))
        if leaks:
            shutil.rmtree(course.released / name)
            raise CourseError(f"{name} was not released: {'; '.join(leaks)}")
    return names


def differences(course: Course) -> list[str]:
    """Where `chapters/` is not what a fresh release of `solutions/` gives, byte for byte."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Course(Path(scratch))
        shutil.copy(course.root / CONFIG_FILE, fresh.root)
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(course.solutions, fresh.root / course.solutions.name, ignore=ignored)
        release(fresh, [])
        found = [*_tree_differences(fresh.released, course.released)]
        found += [*_tree_differences(fresh.solutions, course.solutions)]
    return found


def find_leaks(course: Course, chapter: str) -> Iterator[str]:
    """Every line of a solution, and every file of the teacher's, that the released chapter contains."""
    released = course.released / chapter
    for path in released.rglob("*.py"):
        yield f"{path.name} must stay in {course.solutions.name}/"
    text = "\n".join(path.read_text(encoding="utf-8") for path in released.rglob("*.ipynb"))
    if BEGIN in text or END in text:
        yield "a solution marker is in the released notebook"
    notebook = nbformat.read(course.solutions / chapter / f"{chapter}.ipynb", as_version=4)
    shown = {
        line.strip()
        for path in released.glob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        for line in cell.source.splitlines()
    }
    for cell in notebook.cells:
        if not cell.metadata.get("nbgrader", {}).get("solution"):
            continue
        for line in solution_lines(cell.source):
            if line in shown and _is_telling(line):
                yield f"the solution line {line!r} of {cell.id} is in the released notebook"


def solution_lines(source: str) -> list[str]:
    """The lines between the solution markers."""
    regions = re.findall(rf"{BEGIN}\n(.*?)\n *{END}", source, re.DOTALL)
    return [line.strip() for region in regions for line in region.splitlines() if line.strip()]


def _is_telling(line: str) -> bool:
    """Lines such as `else:` stand in any code and tell nothing."""
    return "=" in line or len(line) > 20


def _refuse_to_overwrite_work(course: Course, chapter: str) -> None:
    path = course.released / chapter / f"{chapter}.ipynb"
    if not path.is_file():
        return
    cells = nbformat.read(path, as_version=4).cells
    run = any(cell.cell_type == "code" and (cell.outputs or cell.execution_count) for cell in cells)
    answered = any(cell.metadata.get("nbgrader", {}).get("solution") and STUB not in cell.source for cell in cells)
    if run or answered:
        raise CourseError(
            f"{course.released.name}/{chapter} has been worked in: move it away, or pass --force to overwrite it"
        )


def _tree_differences(fresh: Path, present: Path) -> Iterator[str]:
    def files(folder: Path) -> set[Path]:
        parts = {"__pycache__", ".ipynb_checkpoints", PROGRESS_FILE}
        paths = (path for path in folder.rglob("*") if path.is_file() and not parts & set(path.parts))
        return {path.relative_to(folder) for path in paths}

    for path in sorted(files(fresh) | files(present)):
        here = f"{present.name}/{path}"
        if not (present / path).exists():
            yield f"{here} is missing"
        elif not (fresh / path).exists():
            yield f"{here} is not part of the release"
        elif not filecmp.cmp(fresh / path, present / path, shallow=False):
            yield f"{here} differs"
