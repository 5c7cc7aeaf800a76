"""What the examples of a function to write have to show, so that a function that passes them all is likely right."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograde.answers.deserialize import unpack_plain
from autograde.answers.outcomes import outcome
from autograde.answers.serialize import pack


def problems_of_examples(
    reference: Callable[..., Any], examples: Sequence[tuple[Any, ...]], hidden: Sequence[Any], expected: Sequence[Any]
) -> Iterator[str]:
    """What lets a wrong function pass them, gives a hidden case away, or hides a change of the arguments.

    hidden: packed arguments; expected: the outcomes of the reference on them.
    """
    packed = [pack(arguments) for arguments in examples]
    shown = [outcome(reference, arguments) for arguments in packed]
    for place, name in enumerate(inspect.signature(reference).parameters):
        seen, tried = ({json.dumps(each[place : place + 1]) for each in some} for some in (packed, hidden))
        if len(seen) == 1 and tried - seen:
            value = examples[0][place]
            yield f"`{name}` is {value!r} in every example: who writes that instead gets a tick; vary it"
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


def _arrays(results: Sequence[Any]) -> Iterator[np.ndarray]:
    """Those outcomes that are tensors."""
    values = (unpack_plain(result.get("value")) for result in results)
    return (value for value in values if isinstance(value, np.ndarray))
