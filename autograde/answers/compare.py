"""Are two values equal, and if not, what differs?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Number
from typing import Any

import numpy as np

from autograde.answers.forms import describe
from autograde.answers.serialize import Named, Opaque
from autograde.answers.single import single


def difference(expected: Any, got: Any, tolerance: float = 0.0) -> str | None:
    """None where `got` equals `expected` within `tolerance` (absolute and relative), else what differs.

    The text holds none of their numbers. Both are plain values as `serialize.unpack_plain` gives them. A list equals
    a tuple, and a tensor equals an array; a bool array does not equal a float array.

    >>> difference([1, 2], [1, 3])
    'its value number 2 is off'
    >>> difference(np.zeros((1, 4)), np.zeros((4, 1)))
    'it has shape (4, 1), expected (1, 4)'
    """
    if isinstance(expected, np.ndarray):
        return _array_difference(expected, got, tolerance)
    if isinstance(expected, list):
        return _list_difference(expected, got, tolerance)
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            return f"it is {describe(got)} with other keys than expected"
        wrong = (key for key in expected if difference(expected[key], got[key], tolerance))
        return next((f"its value for {key!r} is off" for key in wrong), None)
    if isinstance(expected, Opaque):  # nothing is known of either but the type: never equal
        return f"it cannot be compared: {describe(expected)} does not travel"
    if isinstance(expected, set):
        return _set_difference(expected, got, tolerance)
    if isinstance(expected, Number):
        return _number_difference(expected, got, tolerance)
    if type(got) is not type(expected):
        return f"it is {describe(got)}, expected {_kind(expected)}"
    return None if got == expected else "its value is off"


def first_difference(expected: Any, got: Any, tolerance: float = 0.0) -> tuple[str, str, str] | None:
    """The first place where two containers of one shape differ, and both values there; None where there is none.

    >>> first_difference(np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]]))
    ('[0, 1]', '2.0', '2.5')
    >>> first_difference({"a": [1, 2]}, {"a": [1, 3]})
    ("['a'][1]", '2', '3')
    """
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        if expected.shape != got.shape or not expected.shape:
            return None
        same = expected == got
        if expected.dtype.kind == got.dtype.kind == "f":
            same = np.isclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        places = np.argwhere(~same)
        if not len(places):
            return None
        place = tuple(map(int, places[0]))
        return str(list(place)), _number(expected[place]), _number(got[place])
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return _first_inside(enumerate(expected), got, tolerance)
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        return _first_inside(expected.items(), got, tolerance)
    return None


def _first_inside(pairs: Iterable[tuple[Any, Any]], got: Any, tolerance: float) -> tuple[str, str, str] | None:
    for key, want in pairs:
        if difference(want, got[key], tolerance):
            inside = first_difference(want, got[key], tolerance)
            if inside is None:
                return f"[{key!r}]", *_told_apart(want, got[key])
            return f"[{key!r}]{inside[0]}", *inside[1:]
    return None


def _told_apart(want: Any, have: Any) -> tuple[str, str]:
    """Both values; of tensors that differ in nothing but the kind of their numbers, the kinds."""
    both = isinstance(want, np.ndarray) and isinstance(have, np.ndarray)
    if both and want.shape == have.shape and want.dtype != have.dtype:
        return f"{want.dtype} values", f"{have.dtype} values"
    return _number(want), _number(have)


def _number(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    return f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else describe(value)


def _kind(value: Any) -> str:
    if isinstance(value, Named):
        return f"a value of type {value.kind}"
    names = {str: "a text", type(None): "None", bytes: "bytes", type(...): "no answer"}
    return names.get(type(value), f"an object of type {type(value).__name__}")


def _number_difference(expected: Any, got: Any, tolerance: float) -> str | None:
    if isinstance(got, np.ndarray) and got.shape == ():
        got = got.item()  # a tensor of one number, as torch reductions give
    got = single(got) if isinstance(got, Named) else got  # a fraction or a decimal
    is_complex = isinstance(expected, complex)
    if not isinstance(got, Number) or (isinstance(got, complex) and not is_complex):
        return f"it is {describe(got)}, expected a {'complex ' * is_complex}number"
    if got == expected or (expected != expected and got != got and not is_complex):
        return None
    if is_complex and isinstance(got, complex | int | float):
        parts = ((expected.real, complex(got).real), (expected.imag, complex(got).imag))
        return next((told for want, have in parts if (told := _number_difference(want, have, tolerance))), None)
    if tolerance and _is_close(expected, got, tolerance):
        return None
    return "its value is off"


def _is_close(expected: Any, got: Any, tolerance: float) -> bool:
    try:
        return math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # an integer beyond what a float holds
        return False


def _set_difference(expected: set[Any], got: Any, tolerance: float) -> str | None:
    if not isinstance(got, set):
        return f"it is {describe(got)}, expected a set of {len(expected)}"
    if len(got) != len(expected):
        return f"it holds {len(got)} values, expected {len(expected)}"
    if got == expected and not any(isinstance(item, Opaque) for item in expected):
        return None
    if all(isinstance(item, int | float) for item in (*expected, *got)):
        pairs = zip(sorted(expected), sorted(got), strict=True)
        return "its values are off" if any(difference(want, have, tolerance) for want, have in pairs) else None
    return "its values are off"


def _list_difference(expected: list[Any], got: Any, tolerance: float) -> str | None:
    if not isinstance(got, list):
        return f"it is {describe(got)}, expected a list or tuple of {len(expected)}"
    if len(got) != len(expected):
        return f"it holds {len(got)} values, expected {len(expected)}"
    for position, (want, have) in enumerate(zip(expected, got, strict=True), start=1):
        if difference(want, have, tolerance):
            return f"its value number {position} is off"
    return None


def _array_difference(expected: np.ndarray, got: Any, tolerance: float) -> str | None:
    if not isinstance(got, np.ndarray):
        return f"it is {describe(got)}, expected a tensor of shape {expected.shape}"
    if got.shape != expected.shape:
        return f"it has shape {got.shape}, expected {expected.shape}"
    if any((got.dtype.kind == kind) != (expected.dtype.kind == kind) for kind in "bfc"):
        return f"it holds {got.dtype} values, expected {expected.dtype}"
    if expected.dtype.kind == "b" or not tolerance:
        same = np.array_equal(got, expected, equal_nan=expected.dtype.kind in "fc")
    else:
        same = np.allclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    return None if same else "some of its values are off"
