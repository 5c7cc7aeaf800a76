"""What simulated learners write stands by itself, as in a learner's notebook, which has none of the key's helpers."""

import ast
import random
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograde.answers.serialize import pack
from autograde.authoring.key import load_key
from autograde.exercises import Code, Exercise
from autograde.exercises.source import standalone
from autograde.exercises.verdict import Status, Verdict

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


ODD_KEY = '''
import collections
from fractions import Fraction
from math import pi as PI

import numpy as np
import torch

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse

TINY = 1e-6
EPS = 2 * TINY
NAMES = {"red": 1, "blue": [2, 3]}
TABLE = torch.arange(6.0).reshape(2, 3)
twice = lambda number: 2 * number


class Pair:
    def __init__(self, left, right=EPS):
        self.left, self.right = left, right


def halved(number: float) -> float:
    return number / len(NAMES)


def speak(text: str, times: int = 2, *, end: float = EPS) -> str:
    """Text and numbers."""
    counted = collections.Counter(text)
    return text * times + str(counted.total()) + str(halved(twice(Pair(3).left))) + str(end) + str(PI)[:4]


def look_up(name: str, table: torch.Tensor = TABLE) -> torch.Tensor:
    """A tensor of the key's."""
    return table * NAMES[name]


speak_up = Code("speak-up", title="S", prompt="p", points=0, reference=speak, examples=[("ab", 1)],
                checks={"one": [("abc", 3)], "two": [("", 0)]})
looked_up = Code("looked-up", title="L", prompt="p", reference=look_up, examples=[("red",)],
                 checks={"one": [("red",)], "two": [("red", torch.ones(2, 2))]})


@speak_up.alternative
def _(text, times=2, *, end=EPS):
    return speak(text, times, end=end)


@looked_up.misconception("forgot the name", "Look the name up.")
def _(name, table=TABLE):
    return look_up("red", table) * 0


numbers = {
    "mean": Numeric("mean", title="M", prompt="p", answer=np.float64(2.5), misconceptions=[
        Misconception("of integers", np.int64(2), "no")]),
    "third": Numeric("third", title="T", prompt="p", answer=1 / 3, decimals=2),
    "none": Numeric("none", title="N", prompt="p", points=0, answer=lambda: np.int64(7)),
}
mean, third, none = numbers.values()
grown = Numeric("grown", title="G", prompt="{n}?", parameters={"n": 2}, parameter_values={"n": range(2, 40)},
                answer=lambda n: np.float64(n) ** 2)
holds = TrueFalse("holds", title="H", prompt="p", answer=False, misconception="no")
which = Choice("which", title="W", prompt="p", points=0, options={"a": None, "b": "no"})
'''


def marked(exercise: Exercise, source: str) -> Verdict:
    """The verdict on an answer cell in a notebook that has nothing of the key."""
    names: dict[str, Any] = {}
    exec(source, names)
    answer = names[exercise.variable]
    reply = {"outcomes": exercise.run(answer)} if isinstance(exercise, Code) else {"answer": pack(answer)}
    return exercise.mark(reply)


@pytest.mark.parametrize("student", ["", "course|ada"])
def test_what_a_key_may_declare_can_be_simulated(tmp_path: Path, student: str) -> None:
    """Defaults, constants, classes and lambdas of the key's, numbers of numpy's, no points, no misconceptions."""
    (tmp_path / "key.py").write_text(ODD_KEY)
    key = load_key(tmp_path)
    exercises = list((key.of(student) if student else key).exercises.values())
    assert len(exercises) == 8
    for exercise in exercises:
        for seed in range(3):
            verdict = marked(exercise, exercise.right_source(random.Random(seed)))
            assert (verdict.status, verdict.points) == (Status.RIGHT, exercise.points), verdict
        for wrong in exercise.misconceptions:
            assert marked(exercise, exercise.wrong_source(wrong)).misconception == wrong.name
