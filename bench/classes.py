"""A class of honest learners for `grading.py`: one course, its submissions, and the same for the other graders."""

import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

from autograde.course.course import CONFIG_FILE, Course
from autograde.course.release import release
from autograde.course.simulate import TEMPERAMENTS, answer

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = "01-patch-grid"
HONEST = TEMPERAMENTS[:5]  # right answers, misconceptions and blanks, in notebooks that every grader can read
HEAVY_CELLS = 3
HEAVY = """\
import torch

weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0)) / 16
state = torch.ones(256, 256)
for _ in range(1200):  # about a second on one core
    state = torch.tanh(state @ weight)
"""


def make_course(folder: Path, heavy: bool) -> Course:
    """Chapter 1 released in a course of its own; with `heavy`, cells that compute for seconds are added to it."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / CONFIG_FILE, folder)
    shutil.copytree(ROOT / "solutions" / CHAPTER, folder / "solutions" / CHAPTER)
    if heavy:
        path = folder / "solutions" / CHAPTER / f"{CHAPTER}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        for number in range(HEAVY_CELLS):
            notebook.cells.insert(4 + number, new_code_cell(HEAVY, id=f"heavy-{number}"))
        nbformat.write(notebook, path)
    course = Course(folder)
    release(course, [], force=True)
    return course


def make_stock_course(folder: Path, ours: Course) -> Path:
    """The same chapter, released by nbgrader in its own configuration, with its own names for folders."""
    folder.mkdir(parents=True)
    (folder / CONFIG_FILE).write_text('c = get_config()\nc.CourseDirectory.course_id = "bench"\n')
    shutil.copytree(ours.solutions / CHAPTER, folder / "source" / CHAPTER)
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", CHAPTER]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def make_otter_assignment(folder: Path, ours: Course, otter: str) -> Path:
    """The same exercises as an autograder for `otter run`: one test a question, which calls the same `check`."""
    tests = folder / "tests"
    tests.mkdir(parents=True)
    for exercise in ours.key(CHAPTER).exercises.values():
        (tests / f"{exercise.id}.py").write_text(
            "from otter.test_files import test_case\n\n"
            f'OK_FORMAT = False\nname = "{exercise.id}"\npoints = {exercise.points}\n\n'
            f"@test_case(points={exercise.points})\n"
            f"def test_{exercise.variable}({exercise.variable}):\n"
            "    from autograde import check\n\n"
            f'    check("{exercise.id}", {exercise.variable})\n'
        )
    shutil.copy(ours.released / CHAPTER / "exercises.json", folder)
    command = [otter, "generate", "-t", "tests", "-o", "autograder.zip", "exercises.json"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with zipfile.ZipFile(folder / "autograder.zip") as archive:
        assert f"tests/{next(iter(ours.key(CHAPTER).exercises))}.py" in archive.namelist()
    return folder


def hand_in(count: int, ours: Course, stock: Path | None = None, otter: Path | None = None) -> None:
    """The same `count` submissions for each grader, none of them graded yet."""
    key, template, dice = ours.key(CHAPTER), ours.template(CHAPTER), random.Random(0)
    for folder in (ours.submitted, ours.autograded, ours.results.folder):
        shutil.rmtree(folder, ignore_errors=True)
    if stock is not None:
        shutil.rmtree(stock / "submitted", ignore_errors=True)
        shutil.rmtree(stock / "autograded", ignore_errors=True)
    for number in range(count):
        notebook, _ = answer(template, key, HONEST[number % len(HONEST)], dice)
        notebook.cells[0].source += f"\n\nHanded in by student-{number:03d}."  # no two are equal
        places = [ours.submitted, *([stock / "submitted"] if stock is not None else [])]
        for place in places:
            target = place / f"student-{number:03d}" / CHAPTER
            target.mkdir(parents=True)
            nbformat.write(notebook, target / f"{CHAPTER}.ipynb")
        if otter is not None:
            notebook.cells = [cell for cell in notebook.cells if cell.id not in key.exercises]
            nbformat.write(notebook, otter / f"student-{number:03d}.ipynb")


def mean_points(ours: Course) -> float:
    """What the class earned on average: graders that do not agree are not compared."""
    totals = []
    for path in ours.autograded.glob(f"*/{CHAPTER}/*.ipynb"):
        text = json.loads(path.read_text(encoding="utf-8"))
        shown = [output for cell in text["cells"] for output in cell.get("outputs", [])]
        totals.append(sum(o["metadata"]["autograde"]["points"] for o in shown if "autograde" in o.get("metadata", {})))
    return sum(totals) / len(totals)
