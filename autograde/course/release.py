"""From `solutions/` to `chapters/`: weave, then nbgrader's own generate_assignment, then a search for leaks.

A release is built in a temporary folder. When every check has passed, it replaces the old one and is entered
into the gradebook.
"""

from __future__ import annotations

import copy
import filecmp
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.apps.api import NbGraderAPI
from nbgrader.utils import is_solution

from autograde.answers.sheet import FILE_NAME, read_sheet
from autograde.authoring.weave import weave
from autograde.course.course import CONFIG_FILE, Course, CourseError
from autograde.course.migrate import save_cells
from autograde.course.nbgrader import succeed
from autograde.course.plugins import STUB
from autograde.course.seal import Seal
from autograde.course.settings import Release, read_settings
from autograde.engine.matching import same
from autograde.engine.reading import Cell
from autograde.engine.results import scratch_folder
from autograde.exercises.base import BEGIN, END
from autograde.learner.ticks import FILE_NAME as PROGRESS_FILE


def release(
    course: Course,
    chapters: list[str],
    feedback: str | None = None,
    variants: bool | None = None,
    force: bool = False,
    migrate: bool = False,
) -> list[str]:
    """Release the chapters named, or all; returns their names.

    `feedback` and `variants` take the place of the course's settings. With `migrate`, exercises may be added, dropped
    or given other points while there are submissions.

    Raises:
        CourseError: a learner has worked in the released copy (unless `force`), something would leak, or submissions
            would lose marks (unless `migrate`). The old release stays.
    """
    names = course.choose(chapters)
    for name in names:
        if not force:
            _refuse_to_overwrite_work(course, name)
        if course.has_key(name):
            weave_as_released(course, name, feedback, variants)
        _release_one(course, name, migrate)
    return names


def weave_as_released(course: Course, chapter: str, feedback: str | None = None, variants: bool | None = None) -> None:
    """Weave a chapter with the settings given, else the course's, else those that it was woven with before."""
    path = course.solutions / chapter / FILE_NAME
    try:
        before = read_sheet(path.parent) if path.is_file() else {}
    except ValueError:
        raise CourseError(
            f"{course.solutions.name}/{chapter}/{FILE_NAME} is damaged: put its last version back, or delete it and "
            "release with the --feedback and --variants of before"
        ) from None
    last = {"feedback": before.get("feedback", "full"), "variants": "course" in before}
    how = read_settings(course.config, Release, **last)
    feedback = how.feedback if feedback is None else feedback
    variants = how.variants if variants is None else variants
    weave(path.parent, feedback, course.id if variants else "")


def _release_one(course: Course, chapter: str, migrate: bool) -> None:
    with scratch_folder() as place:
        released, seal = _build(course, chapter, place)
        leaks = list(find_leaks(course, chapter, released))
        if leaks:
            raise CourseError(f"{chapter} was not released: {'; '.join(leaks)}")
        save_cells(course, chapter, seal, migrate)
        _put(released, course.released / chapter)
        _put(seal.folder, course.seal(chapter).folder)
        course.seal(chapter).keep_hashes(released)


def _build(course: Course, chapter: str, place: Path) -> tuple[Path, Seal]:
    """Run nbgrader's generate_assignment, with nothing written but in `place`."""
    config = copy.deepcopy(course.config)
    config.CourseDirectory.release_directory = str(place / "released")
    config.GenerateAssignment.no_database = True
    config.SealCells.folder, config.SealCells.into_gradebook = str(place / "sealed"), False
    api = NbGraderAPI(config=config)
    api.log_level = course.api.log_level
    succeed(api.generate_assignment(chapter, force=True), f"{chapter} was not released")
    return place / "released" / chapter, Seal(place / "sealed" / chapter)


def _put(new: Path, target: Path) -> None:
    """Put a folder in the place of another one; it is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as place:
        shutil.copytree(new, Path(place, "new"))
        if target.exists():
            target.rename(Path(place, "old"))
        Path(place, "new").rename(target)


def differences(course: Course) -> list[str]:
    """Where `chapters/` is not what a fresh release of `solutions/` gives, byte for byte."""
    with scratch_folder() as scratch:
        fresh = Course(scratch)
        shutil.copy(course.root / CONFIG_FILE, fresh.root)
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(course.solutions, fresh.root / course.solutions.name, ignore=ignored)
        release(fresh, [])
        found = [*_tree_differences(fresh.released, course.released)]
        found += [*_tree_differences(fresh.solutions, course.solutions)]
    return found


def find_leaks(course: Course, chapter: str, released: Path | None = None) -> Iterator[str]:
    """Every line of a solution, and every file of the teacher's, that the released chapter contains."""
    released = released or course.released / chapter
    if course.has_key(chapter):
        for path in released.rglob("*.py"):
            yield f"{path.name} must stay in {course.solutions.name}/"
    for path in sorted(released.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if any(mark in path.read_text(encoding="utf-8") for mark in (BEGIN, END)):
            yield f"a solution marker is in {path.name}"
        shown = {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}
        source = nbformat.read(course.solutions / chapter / path.name, as_version=4)
        for cell in source.cells:
            if course.has_key(chapter) and is_solution(cell):
                for line in solution_lines(cell.source):
                    if line in shown and _is_revealing(line):
                        yield f"the solution line {line!r} of {_name(cell)} is in {path.name}"


def _name(cell: NotebookNode) -> str:
    return str(cell.get("id") or cell.metadata.nbgrader.grade_id)


def solution_lines(source: str) -> list[str]:
    """The lines between the solution markers."""
    regions = re.findall(rf"{BEGIN}\n(.*?)\n *{END}", source, re.DOTALL)
    return [line.strip() for region in regions for line in region.splitlines() if line.strip()]


def _is_revealing(line: str) -> bool:
    """Whether a line reveals something of the solution. Lines such as `else:` stand in any code, and do not."""
    return "=" in line or len(line) > 20


def _refuse_to_overwrite_work(course: Course, chapter: str) -> None:
    todo = "move it away, or pass --force to overwrite it"
    try:
        exercises = read_sheet(course.released / chapter)["exercises"]
    except FileNotFoundError:
        exercises = {}
    except ValueError:
        raise CourseError(f"{course.released.name}/{chapter}/{FILE_NAME} is not as it was released: {todo}") from None
    for path in (course.released / chapter).glob("*.ipynb"):
        try:
            cells = nbformat.read(path, as_version=4).cells
        except OSError:
            raise
        except Exception:  # nbformat raises what it likes on data that is no notebook
            raise CourseError(
                f"{course.released.name}/{chapter}/{path.name} cannot be read, and may be somebody's work: {todo}"
            ) from None
        run = any(cell.cell_type == "code" and (cell.outputs or cell.execution_count) for cell in cells)
        answers = [cell for cell in cells if is_solution(cell)]
        ours = [cell for cell in answers if cell.get("id", "").removesuffix("-answer") in exercises]
        others = [cell for cell in answers if cell not in ours]
        if run or any(STUB not in cell.source for cell in ours) or _are_edited(course, chapter, path.stem, others):
            raise CourseError(f"{course.released.name}/{chapter} has been worked in: {todo}")


def _are_edited(course: Course, chapter: str, notebook: str, answers: list[NotebookNode]) -> bool:
    """Whether answers are not as they were released last; nobody knows where that was in another copy of the course."""
    try:
        sealed = course.template(chapter, notebook).cells if answers else []
    except CourseError:
        return False
    originals = {cell.metadata.nbgrader.grade_id: cell for cell in sealed if is_solution(cell)}
    pairs = ((cell, originals.get(cell.metadata.nbgrader.grade_id)) for cell in answers)
    return any(known is not None and not same(Cell(cell.cell_type, cell.source), known) for cell, known in pairs)


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
