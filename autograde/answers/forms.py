"""The form of an answer: a number, a truth value, an option of a list. It can be checked without the key.

A form is plain data, so it can stand in exercises.json: `number(decimals=2)`, `truth()`, `option(4)` or a list of them.
The learner's `check` and the grader read every answer with `readings`, so the same value always gets the same words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from autograde.answers.serialize import MAX_ITEMS, BadAnswer, Named, Opaque
from autograde.answers.single import single


class NotAnswered(BadAnswer):
    """The `...` of the exercise is still there."""


Form = Mapping[str, Any]


def number(decimals: int | None = None, unit: str = "") -> Form:
    """A number: a whole one, or one with so many decimal places."""
    return {"of": "number", "decimals": decimals, "unit": unit}


def truth() -> Form:
    return {"of": "truth"}


def option(count: int) -> Form:
    """The number of an option, 1 to `count`."""
    return {"of": "option", "count": count}


def list_of(item: Form, length: int | None = None, ordered: bool = True) -> Form:
    """A list of answers of one form. Where the order does not matter, no item may be repeated."""
    return {"of": "list", "item": item, "length": length, "ordered": ordered}


def read(form: Form, value: Any) -> Any:
    """The canonical form of an answer, as JSON can hold it: two answers are the same if their canonical forms are.

    >>> read(number(decimals=2), 0.6667), read(truth(), True), read(list_of(option(4), ordered=False), [3, 1])
    (67, 1, [1, 3])

    Raises:
        NotAnswered: it is still `...`.
        BadAnswer: it has another form; the text says what is expected.
    """
    match form:
        case {"of": "number", "decimals": None}:
            return read_number(value)
        case {"of": "number", "decimals": int(decimals)}:
            return last_places(read_number(value), decimals)
        case {"of": "truth"}:
            return read_truth(value)
        case {"of": "option", "count": int(count)}:
            return read_option(value, count)
        case {"of": "list"}:
            return _read_list(form, value)
    raise BadAnswer("cannot be read by this version of autograde: update the package")


def readings(form: Form, value: Any) -> list[Any]:
    """What `value` may mean: first its canonical form, then as a number rounded too early, then as a percentage.

    >>> readings(number(decimals=2), 66.7)
    [6670, {'decimals': 1, 'rounded': 667}, {'scaled': 67}]
    """
    found = [read(form, value)]
    if form["of"] == "number":
        decimals = form["decimals"] or 0
        reply = read_number(value)
        if (places := decimal_places(reply)) < decimals:
            found.append({"decimals": places, "rounded": last_places(reply, places)})
        if form["unit"] == "%" or (form["unit"] == "" and decimals):
            factor = Fraction(100) if form["unit"] == "%" else Fraction(1, 100)
            found.append({"scaled": last_places(Fraction(reply) * factor, decimals)})
    return found


def repeat(form: Form, value: Any) -> str:
    """The answer as it is repeated to its author: `16 patches`, `option 2`."""
    value = single(value)
    words = ", ".join(map(describe, value)) if form["of"] == "list" and isinstance(value, list) else describe(value)
    if form["of"] == "option":
        return f"option {words}"
    return f"{words} {form['unit']}" if form.get("unit") and value != 1 else words


def describe(value: Any) -> str:
    """A value in words, for messages.

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

    >>> read_number(196.0), read_number(np.array([196]))
    (196, 196)

    Raises:
        NotAnswered: it is still `...`.
        BadAnswer: it is not a number, or not a finite one.
    """
    value = single(value)
    refuse_blank(value)
    if isinstance(value, str):
        raise BadAnswer(f"is {describe(value)}; expected a number{_how_to_write(value)}")
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        raise BadAnswer(f"is {describe(value)}; expected one number: write it without brackets and commas")
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
    number = _read_as(value, "1 for true or 0 for false")
    if number not in (0, 1):
        raise BadAnswer(f"is {describe(number)}; expected 1 for true or 0 for false")
    return int(number)


def read_option(value: Any, count: int) -> int:
    """The number of an option, 1 to `count`.

    Raises:
        NotAnswered, BadAnswer: as in `read_number`, or a number outside the list.
    """
    number = _read_as(value, f"the number of an option, 1 to {count}")
    if not (isinstance(number, int) and 1 <= number <= count):
        raise BadAnswer(f"is {describe(number)}; expected the number of an option, 1 to {count}")
    return number


def _read_as(value: Any, expected: str) -> int | float:
    """`value` as a number; where it is none, what is said names what is expected instead of just any number."""
    try:
        return read_number(value)
    except NotAnswered:
        raise
    except BadAnswer as error:
        raise BadAnswer(re.sub("expected (a|one|a finite) number", f"expected {expected}", str(error))) from None


def _read_list(form: Form, value: Any) -> list[Any]:
    refuse_blank(value)
    if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) <= MAX_ITEMS:
        value = list(value[:, None])  # of arrays of one element
    length, what = form["length"], "a list" if form["ordered"] else "a list of different items"
    if not isinstance(value, list):
        raise BadAnswer(f"is {describe(value)}; expected {what}, such as [1, 2]")
    if length is not None and len(value) != length:
        raise BadAnswer(f"is {describe(value)}; expected {length}")
    items = [read(form["item"], item) for item in value]
    if form["ordered"]:
        return items
    if len(set(items)) < len(items):
        raise BadAnswer("names an item twice")
    return sorted(items)


def decimal_places(number: int | float) -> int:
    """How many decimal places a number is written with.

    >>> decimal_places(0.67), decimal_places(3), decimal_places(1e-07)
    (2, 0, 7)
    """
    digits, _, exponent = repr(number).partition("e")
    written = len(digits.partition(".")[2]) if isinstance(number, float) and not number.is_integer() else 0
    return max(0, written - int(exponent or 0))


def last_places(number: int | float | Fraction, decimals: int) -> int:
    """`number` counted in units of its last decimal place.

    >>> last_places(3.14159, 2)
    314
    """
    return round(Fraction(number) * 10**decimals)


def _how_to_write(text: str) -> str:
    """What to do where a text holds a number: `"196"`, `"80 %"`, `"14 x 14"`."""
    number = re.match(r"\s*[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?\s*", text)
    if number is None:
        return ""
    if number.end() == len(text):
        return f": write it without quotes{' and commas' * (',' in text)}"
    if re.fullmatch(r"\s*\d+(\s*[*x×·]\s*\d+)+\s*", text):
        return f": write it without quotes, as {' * '.join(re.findall('[0-9]+', text))}"
    return ": write it alone, without quotes and unit"


def refuse_blank(value: Any) -> None:
    """Raises NotAnswered where `value` is still the `...` of the exercise."""
    if value is ...:
        raise NotAnswered("is not answered yet: put your answer in place of the dots")
