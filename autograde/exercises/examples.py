"""What the examples of a function to write have to show, so that a function that passes them all is likely right."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from autograde.answers.deserialize import unpack_plain
from autograde.answers.outcomes import outcome
from autograde.answers.serialize import pack

Facts = dict[str, Any]  # by expression: {"images.shape[-1]": 4, …}


def problems_of_examples(
    reference: Callable[..., Any], examples: Sequence[tuple[Any, ...]], hidden: Sequence[Any], expected: Sequence[Any]
) -> Iterator[str]:
    """What lets a wrong function pass them, gives a hidden case away, or hides a change of the arguments.

    hidden: packed arguments; expected: the outcomes of the reference on them.
    """
    packed = [pack(arguments) for arguments in examples]
    shown = [outcome(reference, arguments) for arguments in packed]
    names = list(inspect.signature(reference).parameters)
    every, tried = ([_facts_of(names, arguments) for arguments in some] for some in (packed, hidden))
    returned = [_returned(*pair) for pair in ((every, shown), (tried, expected))]
    yield from dict.fromkeys([*_not_varied(every, tried), *_not_varied(*returned), *_always_equal(*returned)])
    has_floats = any(array.dtype.kind == "f" for array in _arrays(expected))
    if has_floats and all(np.array_equal(array, array.round()) for array in _arrays(shown)):
        yield "its examples give whole numbers only: who rounds them gets a tick; show another number"
    for number, (arguments, before, found) in enumerate(zip(examples, packed, shown, strict=True), start=1):
        if before in hidden:
            yield f"example {number} is a hidden case, too: choose another"
        elif "value" in found:
            reference(*arguments)
            if pack(arguments) != before:
                yield f"the reference changes its arguments in example {number}: work on a copy"


def _facts_of(names: Iterable[str], arguments: Sequence[Any]) -> Facts:
    """All that a function can read off these packed arguments: themselves, their sizes, lengths and dtypes."""
    return dict(pair for name, packed in zip(names, arguments, strict=False) for pair in _read_off(name, packed))


def _read_off(expression: str, packed: Any) -> Iterator[tuple[str, Any]]:
    """Axes count from the last one, since any number of them may stand in front."""
    yield expression, packed
    value = unpack_plain(packed)
    if isinstance(value, np.ndarray):
        yield f"{expression}.dtype", str(value.dtype)
        yield f"{expression}.ndim", value.ndim
        yield from ((f"{expression}.shape[{-place}]", size) for place, size in enumerate(reversed(value.shape), 1))
    elif isinstance(value, str | list | dict):
        yield f"len({expression})", len(value)
    if isinstance(value, dict):
        for key, item in packed["items"]:
            yield from _read_off(f"{expression}[{unpack_plain(key)!r}]", item)


def _returned(facts: Sequence[Facts], outcomes: Sequence[Any]) -> list[Facts]:
    """The facts of those arguments that are not refused."""
    return [each for each, found in zip(facts, outcomes, strict=True) if "value" in found]


def _in_all(facts: Sequence[Facts]) -> list[str]:
    return [expression for expression in facts[0] if all(expression in each for each in facts)] if facts else []


def _not_varied(examples: Sequence[Facts], hidden: Sequence[Facts]) -> Iterator[str]:
    for expression in _in_all(examples):
        value = examples[0][expression]
        seen, tried = (
            {json.dumps(each[expression]) for each in some if expression in each} for some in (examples, hidden)
        )
        if len(seen) == 1 and tried - seen:
            text = repr(value) if isinstance(value, str | int | float) else "the same"
            yield f"`{expression}` is {text} in every example: who writes that instead gets a tick; vary it"


def _always_equal(examples: Sequence[Facts], hidden: Sequence[Facts]) -> Iterator[str]:
    """Two whole numbers that the examples do not tell apart, such as the height and the width of square pictures."""
    numbers = [name for name in _in_all(examples) if type(examples[0][name]) is int and not name.endswith(".ndim")]
    for one, other in combinations(numbers, 2):
        if all(each[one] == each[other] for each in examples) and any(
            each[one] != each[other] for each in hidden if one in each and other in each
        ):
            yield f"`{one}` equals `{other}` in every example: who takes one for the other gets a tick; vary one"


def _arrays(results: Sequence[Any]) -> Iterator[np.ndarray]:
    """Those outcomes that are tensors."""
    values = (unpack_plain(result.get("value")) for result in results)
    return (value for value in values if isinstance(value, np.ndarray))
