"""A learner's function on the examples of its exercise: what it should give, what it gives, and where they differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograde.answers import forms
from autograde.answers.compare import difference, first_difference
from autograde.answers.deserialize import unpack, unpack_plain
from autograde.answers.outcomes import bare, outcome_difference, outcomes, returning, rounded
from autograde.answers.serialize import BadAnswer, Opaque, pack
from autograde.answers.sheet import find_reply


class Wrong(Exception):
    """A wrong answer; the text is for its author."""

    def __init__(self, message: str, answer: str):
        super().__init__(message)
        self.answer = answer  # tells one wrong answer from another


def try_examples(entry: dict[str, Any], function: Any) -> str:
    """Run a function on the examples; return the message for one that passes them all.

    Raises:
        BadAnswer: it is not a function. NotAnswered: it still returns `...`. Wrong: an example fails.
    """
    if not callable(function):
        forms.refuse_blank(function)
        raise BadAnswer(f"is {forms.describe(unpack_plain(pack(function)))}; expected a function")
    results = outcomes(function, entry["examples"])
    if all(result == {"value": {"blank": True}} for result in results):
        raise forms.NotAnswered("is not answered yet: write its body in place of the dots")
    for arguments, expected, got in zip(entry["examples"], entry["expected"], results, strict=True):
        problem = outcome_difference(expected, got, entry["tolerance"])
        if problem:
            call = f"{entry['variable']}({', '.join(_short(argument) for argument in arguments)})"
            lines = [f"{call}: {problem}."]
            if _right_value(expected, got, entry["tolerance"]):  # the line above says what is wrong with it
                lines.append(_misconception(entry, bare(results)))
            else:
                lines += [f"  expected {_told(expected)}", f"  got      {_told(got)}"]
                lines.append(_where(expected, got, entry["tolerance"]))
                close = rounded([expected]) == rounded([got])  # for a digest it is the right value
                lines.append(_advice(entry, results, close))
            raise Wrong("\n".join(filter(None, lines)), json.dumps(rounded(bare(results))))
    passed = "the example passes" if len(results) == 1 else f"all {len(results)} examples pass"
    reply = find_reply(entry, rounded(entry["expected"]))
    parts = [f"{passed}. Grading tries other inputs too.", reply[1] if reply else "", _silent_error(entry, results)]
    return " ".join(filter(None, parts))


def _right_value(expected: dict[str, Any], got: dict[str, Any], tolerance: float) -> bool:
    """Whether both are values, and the same ones: then it is their form that differs, or an argument was changed."""
    if "value" not in expected or "value" not in got:
        return False
    return difference(unpack_plain(expected["value"]), unpack_plain(got["value"]), tolerance) is None


def _advice(entry: dict[str, Any], results: list[dict[str, Any]], close: bool) -> str:
    """The message of the misconception that gives the same results; else where to find help.

    If no misconception agrees on all examples, those where an exception is expected are left out, unless the value that
    is off is `close`: they might all be right for a digest.
    """
    seen = bare(results)
    if rounded(seen) == rounded(entry["expected"]):
        return _hint(entry)
    known = _misconception(entry, seen)
    if not known and not close:
        known = _misconception(entry, returning(entry["expected"], seen))
    return known or _hint(entry)


def _hint(entry: dict[str, Any]) -> str:
    return "Unfold a hint above and try again." if entry["hints"] else ""


def _misconception(entry: dict[str, Any], results: list[Any]) -> str:
    reply = find_reply(entry, rounded(results))
    return reply[1] if reply and not reply[0] else ""


def _silent_error(entry: dict[str, Any], results: list[dict[str, Any]]) -> str:
    """A remark on the first exception that is of the right class, but whose text names none of the wrong values."""
    for arguments, got in zip(entry["examples"], results, strict=True):
        names = set(_names(unpack_plain(arguments)))
        said = {word.strip(".") for word in re.findall(r"[\w.]+", got.get("says", ""))}
        if "raised" in got and names and not names & said:
            says = f"says only “{got['says']}”" if got["says"] else "says nothing"
            return f"Your {got['raised'][0]} {says}: let it name the value that is wrong, and what you expected."
    return ""


def _names(value: Any) -> Iterator[str]:
    """What a message may name of the arguments: numbers, sizes of tensors, texts and the keys of dicts."""
    match value:
        case bool() | None:
            return
        case int() | float() | str():
            yield str(value)
        case list():
            for item in value:
                yield from _names(item)
        case dict():
            yield from _names(list(value))
            yield from _names(list(value.values()))
        case np.ndarray():
            yield from map(str, value.shape)


def _where(expected: dict[str, Any], got: dict[str, Any], tolerance: float) -> str:
    """The first place where two tensors, lists or dicts differ, with both values."""
    if "value" not in expected or "value" not in got:
        return ""
    found = first_difference(unpack_plain(expected["value"]), unpack_plain(got["value"]), tolerance)
    if found is None:
        return ""
    place, want, have = found
    return f"  first at {place}: expected {want}, got {have}"


def _told(outcome: dict[str, Any]) -> str:
    if "raised" not in outcome:
        return _short(outcome["value"])
    says = outcome.get("says", "")
    return f"an exception: {outcome['raised'][0]}{f': {says}' if says else ''}"


def _short(packed: Any) -> str:
    """A packed value as text: tensors by their shape, with their numbers if there are few."""
    value = unpack(packed)
    if isinstance(value, Opaque):
        return forms.describe(value)
    if hasattr(value, "shape"):
        kind = type(value).__name__.lower()
        small = " ".join(str(value.tolist()).split())
        return f"{kind} {tuple(value.shape)}" + (f" {small}" if len(small) <= 80 else "")
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
