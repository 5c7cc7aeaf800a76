"""Calling a learner's function: inputs in as data, outcomes out as data.

An outcome is packed too: `{"value": packed}` or `{"raised": [names of the exception's classes], "says": its text}`.
Beside a value stands `"changed": number` where the function changed an argument: which one, counted from 1.
The same code calls the reference on the grader's side and the learner's function in the learner's process.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autograde.answers.compare import difference
from autograde.answers.deserialize import unpack, unpack_plain
from autograde.answers.serialize import BadAnswer, pack


def outcome(function: Callable[..., Any], arguments: Any) -> dict[str, Any]:
    """What `function` does with packed `arguments`. It gets its own copy of them."""
    try:
        copies = unpack(arguments)
        found = {"value": pack(function(*copies))}
    except Exception as error:  # whatever a learner's function raises is an outcome
        names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, Exception)]
        return {"raised": names, "says": _text_of(error)}
    changed = [number for number, copy in enumerate(copies, start=1) if _is_changed(copy, arguments[number - 1])]
    return found | {"changed": changed[0]} if changed else found


def _is_changed(value: Any, before: Any) -> bool:
    """Is an argument no longer what its packed form `before` says?"""
    try:
        return bool(pack(value) != before)
    except BadAnswer:  # it has grown beyond what travels
        return True


def outcomes(function: Callable[..., Any], cases: Sequence[Any]) -> list[dict[str, Any]]:
    return [outcome(function, arguments) for arguments in cases]


def bare(results: Sequence[Any]) -> list[Any]:
    """Outcomes without the texts of exceptions, which do not count."""
    return [{"raised": result["raised"]} if "raised" in result else result for result in results]


def returning(expected: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """The outcomes of those cases where a value is expected, not an exception: learners write that part first."""
    return [got for want, got in zip(expected, results, strict=True) if "value" in want]


def rounded(results: Sequence[Any]) -> list[Any]:
    """Outcomes with floats rounded to 3 decimals, for a digest: the last bits differ from one CPU to another."""
    return [{"value": _rounded(unpack_plain(result["value"]))} if "value" in result else result for result in results]


def _rounded(value: Any) -> Any:
    match value:
        case float() if math.isfinite(value):
            return round(value, 3) + 0.0  # no minus zero
        case list():
            return [_rounded(item) for item in value]
        case dict():
            return pack({key: _rounded(item) for key, item in value.items()})
        case complex():
            return pack(complex(np.round(value, 3)))
        case np.ndarray() if value.dtype.kind in "fc":
            return pack(value.round(3) + 0.0)
    return pack(value)


def outcome_difference(expected: Any, got: Any, tolerance: float) -> str | None:
    """None where the outcome is as expected, else what is wrong with it, without revealing an input."""
    match expected, got:
        case {"raised": [wanted, *_]}, {"raised": list(names)}:
            return None if wanted in names else f"it raises {_first(names)}{_missing(got)} where {wanted} is expected"
        case {"raised": [wanted, *_]}, {"value": {"object": str(name)}} if name.endswith(("Error", "Exception")):
            return f"it returns a {name[:60]} where it should raise {wanted}: write raise, not return"
        case {"raised": [wanted, *_]}, _:
            return f"it returns a value where it should raise {wanted}"
        case _, {"raised": list(names)}:
            return f"it raises {_first(names)}{_missing(got)}"
        case {"value": want}, {"value": None} if want is not None:
            return "it returns nothing (None): give the result back with return; print only shows it"
        case {"value": want}, {"value": have}:
            try:
                different = difference(unpack_plain(want), unpack_plain(have), tolerance)
                return different or _other_kind(want, have) or _change(expected, got)
            except BadAnswer as error:
                return f"its result {error}"
    return "its outcome cannot be read"


def _other_kind(expected: Any, got: Any) -> str | None:
    """The same numbers, in a form that the next line of code would stumble over; inside of lists and dicts, too."""
    match expected, got:
        case list(), list():
            return _inside((f"number {place}", *pair) for place, pair in enumerate(zip(expected, got, strict=True), 1))
        case {"items": [*wanted]}, {"items": [*given]}:
            found = {json.dumps(key): item for key, item in given}
            return _inside((f"for {unpack_plain(key)!r}", item, found.get(json.dumps(key))) for key, item in wanted)
        case int(), float():
            return "it is a float, expected a whole number: // divides whole numbers and gives one"
        case {"of": "torch"}, {"of": "numpy"}:
            return "it is an array of NumPy, expected a tensor: leave it one, without .numpy()"
        case {"of": "torch"}, {"of": "torch"}:
            wanted, given = unpack_plain(expected).dtype, unpack_plain(got).dtype
            if wanted.kind != given.kind or (wanted.kind == "f" and wanted != given):  # bytes are no other integers
                return f"it holds {given} values, expected {wanted}"
    return None


def _inside(parts: Iterable[tuple[str, Any, Any]]) -> str | None:
    """The first of these values that is of another kind."""
    told = ((name, _other_kind(wanted, given)) for name, wanted, given in parts)
    return next((f"its value {name}: {problem}" for name, problem in told if problem), None)


def _change(expected: Any, got: Any) -> str | None:
    if "changed" not in got or "changed" in expected:
        return None
    return f"it changes its argument number {got['changed']}, which whoever calls it still needs: make a new value"


def _first(names: list[Any]) -> str:
    return str(names[0])[:60] if names else "an exception"


def _missing(got: dict[str, Any]) -> str:
    """For a NameError: which name is not defined."""
    name = re.match(r"name '(\w{1,60})' is not defined", str(got.get("says", "")))
    return f": `{name[1]}` is not defined" if name and "NameError" in got["raised"] else ""


def _text_of(error: Exception) -> str:
    try:
        return str(error)[:200]
    except Exception:  # a learner's own exception class may fail to print
        return ""


class Payload:
    """What a learner's kernel sends to the grader: an object whose display is JSON."""

    mime = "application/vnd.autograde+json"

    def __init__(self, content: Any):
        self._content = content

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {self.mime: json.dumps(self._content), "text/plain": "an answer"}

    @classmethod
    def of_value(cls, value: Any) -> Payload:
        try:
            return cls({"answer": pack(value)})
        except BadAnswer as error:
            return cls({"refused": str(error)})

    @classmethod
    def of_calls(cls, function: Any, cases: str) -> Payload:
        """The outcomes of `function` on `cases`, a JSON list of packed argument lists."""
        if not callable(function):
            return cls.of_value(function)
        return cls({"outcomes": outcomes(function, json.loads(cases))})
