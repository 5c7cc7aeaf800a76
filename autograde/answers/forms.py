"""The form of an answer: is it a number, a truth value, an option of the list? No answer is needed to tell.

Both sides use these readers, the learner's `check` and the grader, so the same value always gets the same words.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from autograde.answers.serialize import BadAnswer, Named, Opaque


class NotAnswered(BadAnswer):
    """The `...` of the exercise is still there."""


def describe(value: Any) -> str:
    """What came, in words.

    >>> describe("196"), describe([1, 2]), describe(None)
    ("the text '196'", 'a list or tuple of 2 values', 'None')
    """
    match value:
        case None | bool() | int() | float():
            text = repr(value)
            return text if len(text) <= 40 else f"a number of {len(text)} digits"
        case str():
            return f"the text {value[:40]!r}{'…' if len(value) > 40 else ''}"
        case list():
            return f"a list or tuple of {len(value)} value{'s' * (len(value) != 1)}"
        case dict():
            return f"a dict of {len(value)} item{'s' * (len(value) != 1)}"
        case np.ndarray():
            return f"an array or tensor of shape {value.shape}"
        case complex():
            return f"the complex number {value!r}"
        case set():
            return f"a set of {len(value)} value{'s' * (len(value) != 1)}"
        case Named(kind, text):
            return f"{text[:40]} ({kind})"
        case Opaque(name):
            return f"an object of type {name}"
    return "nothing" if value is ... else f"an object of type {type(value).__name__}"


def read_number(value: Any) -> int | float:
    """`value` as a finite int or float; integral floats become ints, True and False become 1 and 0.

    >>> read_number(196.0)
    196

    Raises:
        NotAnswered: it is still `...`.
        BadAnswer: it is no number, or not a finite one.
    """
    refuse_blank(value)
    if isinstance(value, np.ndarray):
        raise BadAnswer(f"is {describe(value)}; expected a plain number: take it out with .item()")
    if isinstance(value, str):
        raise BadAnswer(f"is {describe(value)}; expected a number{': write it without quotes' * _is_number(value)}")
    if isinstance(value, list) and len(value) > 1 and all(isinstance(item, int | float) for item in value):
        raise BadAnswer(f"is {describe(value)}; expected one number: write it without commas")
    if not isinstance(value, bool | int | float):
        raise BadAnswer(f"is {describe(value)}; expected a number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadAnswer(f"is {value}; expected a finite number")
        return int(value) if value.is_integer() else value
    return int(value)


def read_truth(value: Any) -> int:
    """1 or 0 from 1, 0, True or False.

    Raises:
        NotAnswered, BadAnswer: as in `read_number`, or a number that is neither.
    """
    number = read_number(value)
    if number not in (0, 1):
        raise BadAnswer(f"is {describe(number)}; expected 1 for true or 0 for false")
    return int(number)


def read_option(value: Any, count: int) -> int:
    """The number of an option, 1 to `count`.

    Raises:
        NotAnswered, BadAnswer: as in `read_number`, or a number outside the list.
    """
    number = read_number(value)
    if not (isinstance(number, int) and 1 <= number <= count):
        raise BadAnswer(f"is {describe(number)}; expected the number of an option, 1 to {count}")
    return number


def last_places(number: int | float, decimals: int) -> int:
    """`number` counted in units of its last decimal place.

    >>> last_places(3.14159, 2)
    314
    """
    return round(Fraction(number) * 10**decimals)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def refuse_blank(value: Any) -> None:
    """Raises NotAnswered where `value` is still the `...` of the exercise."""
    if value is ...:
        raise NotAnswered("is not answered yet: put your answer in place of the dots")
