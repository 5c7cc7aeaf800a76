"""What simulated learners write stands by itself, as in a learner's notebook, which has none of the key's helpers."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograde.authoring.key import load_key
from autograde.exercises import Code
from autograde.exercises.source import standalone

BOOK = Path(__file__).parents[3] / "solutions"
FUNCTIONS = [
    (folder.parent.name, exercise)
    for folder in sorted(BOOK.glob("*/key.py"))
    for exercise in load_key(folder.parent).exercises.values()
    if isinstance(exercise, Code)
]
each_function = pytest.mark.parametrize(("chapter", "exercise"), FUNCTIONS, ids=[e.id for _, e in FUNCTIONS])


@cache
def assigned(chapter: str) -> set[str]:
    """The names that the chapter's own cells give to something, such as the pieces that a learner has written."""
    notebook = nbformat.read(BOOK / chapter / f"{chapter}.ipynb", as_version=4)
    return {
        target.id
        for cell in notebook.cells
        if cell.cell_type == "code"
        for statement in ast.parse(cell.source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def written(chapter: str, function: Any) -> Any:
    """The function as a learner's kernel has it."""
    names = {word: value for word, value in function.__globals__.items() if word in assigned(chapter)}
    exec(standalone(function, "mine"), names)
    return names["mine"]


@each_function
def test_every_right_solution_is_right_in_a_notebook(chapter: str, exercise: Code) -> None:
    for function in (exercise.reference, *exercise.alternatives):
        assert exercise.mark({"outcomes": exercise.run(written(chapter, function))}).points == exercise.points


@each_function
def test_every_misconception_is_the_same_misconception_in_a_notebook(chapter: str, exercise: Code) -> None:
    for misconception in exercise.misconceptions:
        assert (
            exercise.mark({"outcomes": exercise.run(written(chapter, misconception.answer))}).misconception
            == misconception.name
        )
