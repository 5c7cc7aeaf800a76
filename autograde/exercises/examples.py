"""What the examples of a function to write have to show, so that a function that passes them all is likely right."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from autograde.answers.deserialize import unpack_plain
from autograde.answers.outcomes import outcome
from autograde.answers.serialize import pack


class WithExamples(Protocol):
    """What is asked of an exercise here: a function, what it is tried on, and what it gives."""

    @property
    def reference(self) -> Callable[..., Any]: ...
    @property
    def examples(self) -> Sequence[tuple[Any, ...]]: ...
    @property
    def packed_examples(self) -> list[Any]: ...
    @property
    def cases(self) -> list[tuple[str, Any]]: ...
    @property
    def expected(self) -> list[dict[str, Any]]: ...
    @property
    def expected_of_examples(self) -> list[dict[str, Any]]: ...


def problems_of_examples(exercise: WithExamples) -> Iterator[str]:
    """What lets a wrong function pass them, gives a hidden case away, or hides a change of the arguments."""
    hidden = [arguments for _, arguments in exercise.cases]
    for name, value in _constants(exercise, hidden):
        yield f"`{name}` is {value!r} in every example: who writes that instead gets a tick; vary it"
    if _rounds_unseen(exercise):
        yield "its examples give whole numbers only: who rounds them gets a tick; show another number"
    for number, example in enumerate(exercise.packed_examples, start=1):
        if example in hidden:
            yield f"example {number} is a hidden case, too: choose another"
        elif "value" in outcome(exercise.reference, example) and _changes(exercise, number - 1):
            yield f"the reference changes its arguments in example {number}: work on a copy"


def _constants(exercise: WithExamples, hidden: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of each argument that is the same in every example, and not in the hidden cases."""
    for place, name in enumerate(inspect.signature(exercise.reference).parameters):
        shown, tried = (
            {json.dumps(arguments[place : place + 1]) for arguments in some}
            for some in (exercise.packed_examples, hidden)
        )
        if len(shown) == 1 and tried - shown:
            yield name, exercise.examples[0][place]


def _rounds_unseen(exercise: WithExamples) -> bool:
    """Whether hidden cases give tensors of floats, and no example gives one with a number that is not whole."""
    has_floats = any(array.dtype.kind == "f" for array in _arrays(exercise.expected))
    return has_floats and all(np.array_equal(array, array.round()) for array in _arrays(exercise.expected_of_examples))


def _arrays(results: Sequence[Any]) -> Iterator[np.ndarray]:
    """Those outcomes that are tensors."""
    values = (unpack_plain(result.get("value")) for result in results)
    return (value for value in values if isinstance(value, np.ndarray))


def _changes(exercise: WithExamples, example: int) -> bool:
    exercise.reference(*exercise.examples[example])
    return bool(pack(exercise.examples[example]) != exercise.packed_examples[example])
