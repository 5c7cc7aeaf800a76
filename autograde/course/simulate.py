"""Simulated students: submissions made from a key, for rehearsing a course and for testing the grader.

Every simulated student has a temperament. The answers are right, a misconception that the key names, or missing; some
hand in a notebook that is broken as real notebooks are broken. The same count and seed give the same class.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

from autograde.answers.sheet import full_name
from autograde.authoring.key import Key
from autograde.course.course import Course, CourseError

MARKER = ".simulated"  # behind a chapter's name, in the folder of a simulated student: it may be overwritten


@dataclass(frozen=True)
class Temperament:
    name: str
    right: float  # share of answers that are right
    misconception: float  # share that are a named misconception; the rest stays blank
    damage: Callable[[NotebookNode], str] = nbformat.writes


@dataclass(frozen=True)
class Simulated:
    student: str
    temperament: str
    answers: dict[str, str] = field(default_factory=dict)  # by exercise: "right", "blank" or a misconception's name


def _not_json(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook)[:-200]  # an upload that broke off


def _no_cells(notebook: NotebookNode) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}})


def _no_metadata(notebook: NotebookNode) -> str:
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = nbformat.NotebookNode(), f"other-{number}"
    return nbformat.writes(notebook)


def _copied_test(notebook: NotebookNode) -> str:
    graded = next(cell for cell in notebook.cells if is_grade(cell))
    notebook.cells.append(copy.deepcopy(graded))
    notebook.cells[-1].id = "copied-cell"
    return nbformat.writes(notebook)


def _deleted_tests(notebook: NotebookNode) -> str:
    notebook.cells = [cell for cell in notebook.cells if not is_grade(cell)]
    return nbformat.writes(notebook)


TEMPERAMENTS = (
    Temperament("sure-footed", right=1.0, misconception=0.0),
    Temperament("learning", right=0.6, misconception=0.3),
    Temperament("slipping", right=0.0, misconception=1.0),
    Temperament("unfinished", right=0.5, misconception=0.1),
    Temperament("blank", right=0.0, misconception=0.0),
    Temperament("upload broke off", right=1.0, misconception=0.0, damage=_not_json),
    Temperament("lost its metadata", right=0.8, misconception=0.2, damage=_no_metadata),
    Temperament("copied a test cell", right=0.8, misconception=0.2, damage=_copied_test),
    Temperament("deleted the test cells", right=0.8, misconception=0.2, damage=_deleted_tests),
    Temperament("no cells", right=0.0, misconception=0.0, damage=_no_cells),
)


def simulate(course: Course, chapter: str, count: int, seed: int = 0) -> list[Simulated]:
    """Hand in `chapter` for `count` simulated students, and say what each of them answered.

    Raises:
        CourseError: the chapter is not released, or a real student has the name of a simulated one.
    """
    key, template, variants_of = course.key(chapter), course.template(chapter), course.seal(chapter).variants_of
    students = [f"student-{number + 1:03d}" for number in range(count)]
    _refuse_real_students(course, chapter, students)
    generator = random.Random(seed)
    group = []
    for number, student in enumerate(students):
        temperament = TEMPERAMENTS[number % len(TEMPERAMENTS)]
        own = key.of(full_name(variants_of, student)) if variants_of else key
        notebook, answers = answer(template, own, temperament, generator)
        folder = course.submitted / student / chapter
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / f"{chapter}{MARKER}").touch()
        (folder / f"{chapter}.ipynb").write_text(temperament.damage(notebook), encoding="utf-8")
        group.append(Simulated(student, temperament.name, answers))
    return group


def _refuse_real_students(course: Course, chapter: str, students: list[str]) -> None:
    """A folder that is not marked as simulated is a real student's."""
    for student in students:
        folder = course.submitted / student
        if folder.exists() and not list(folder.glob(f"*{MARKER}")):
            real = student
        elif (folder / chapter).exists() and not (folder / f"{chapter}{MARKER}").exists():
            real = f"{student}/{chapter}"
        else:
            continue
        raise CourseError(
            f"{course.submitted.relative_to(course.root)}/{real} was not made by `autograde simulate`, which leaves "
            "real submissions alone: move it away, or simulate in a copy of the course"
        )


def answer(
    template: NotebookNode, key: Key, temperament: Temperament, generator: random.Random
) -> tuple[NotebookNode, dict[str, str]]:
    """A copy of the released notebook with answers of one temperament, and what they are."""
    notebook = copy.deepcopy(template)
    answers = {}
    for cell in notebook.cells:
        exercise = key.exercises.get(cell.id.removesuffix("-answer"))
        if exercise is None or not is_solution(cell):
            continue
        mood = generator.random()
        if mood < temperament.right:
            cell.source, answers[exercise.id] = exercise.right_source(generator), "right"
        elif exercise.misconceptions and mood < temperament.right + temperament.misconception:
            wrong = generator.choice(exercise.misconceptions)
            cell.source, answers[exercise.id] = exercise.wrong_source(wrong), wrong.name
        else:
            answers[exercise.id] = "blank"
    return notebook, answers
