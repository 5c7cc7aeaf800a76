"""A learner's function on the examples of its exercise: what it should give, what it gives, and where they differ."""

from __future__ import annotations

import json
from typing import Any

from autograde.answers import forms
from autograde.answers.compare import first_difference
from autograde.answers.outcomes import bare, outcome_difference, outcomes, returning, rounded
from autograde.answers.serialize import BadAnswer, Opaque, pack, unpack, unpack_plain
from autograde.answers.sheet import find_reply


class Wrong(Exception):
    """A wrong answer; the text is for its author."""

    def __init__(self, message: str, answer: str):
        super().__init__(message)
        self.answer = answer  # tells one wrong answer from another


def try_examples(entry: dict[str, Any], function: Any) -> str:
    """What is said to a function that passes all examples.

    Raises:
        BadAnswer: it is no function. NotAnswered: it returns its dots. Wrong: an example fails.
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
            lines = [f"{call}: {problem}.", f"  expected {_told(expected)}", f"  got      {_told(got)}"]
            lines += [_where(expected, got, entry["tolerance"]), _advice(entry, results)]
            raise Wrong("\n".join(filter(None, lines)), json.dumps(rounded(bare(results))))
    passed = "the example passes" if len(results) == 1 else f"all {len(results)} examples pass"
    reply = find_reply(entry, rounded(entry["expected"]))
    return f"{passed}. Grading tries other inputs too. {reply[1] if reply else ''}".strip()


def _advice(entry: dict[str, Any], results: list[dict[str, Any]]) -> str:
    """The message of the misconception that does the same, at least where a value is expected; else where help is."""
    seen = bare(results)
    for known in (seen, returning(entry["expected"], seen)):
        reply = find_reply(entry, rounded(known))
        if reply and not reply[0]:
            return reply[1]
    return "Unfold a hint above and try again." if entry["hints"] else ""


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
    """A packed value for the eye: tensors by shape, and in full where they are small."""
    value = unpack(packed)
    if isinstance(value, Opaque):
        return forms.describe(value)
    if hasattr(value, "shape"):
        kind = type(value).__name__.lower()
        small = " ".join(str(value.tolist()).split())
        return f"{kind} {tuple(value.shape)}" + (f" {small}" if len(small) <= 80 else "")
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
