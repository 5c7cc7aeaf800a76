"""What a learner calls: `check` below an answer, and `ask` where a course gives everyone numbers of their own."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from autograde.answers import forms
from autograde.answers.outcomes import bare, outcome_difference, outcomes, returning, rounded
from autograde.answers.serialize import BadAnswer, Opaque, pack, unpack, unpack_plain
from autograde.answers.sheet import digest
from autograde.learner.progress import note
from autograde.learner.student import CheckFailed, entry_for


class Tick:
    """A passed check, as rich text where the page can show it."""

    def __init__(self, message: str):
        self.message = message

    def __repr__(self) -> str:
        return f"✓ {self.message}"

    def _repr_html_(self) -> str:
        return f'<div role="status" style="color: #1b7f4b"><b>✓</b> {html.escape(self.message)}</div>'


def check(exercise_id: str, answer: Any) -> None:
    """Compare `answer` with the exercise's digests, found beside the notebook, and show a tick.

    Raises:
        CheckFailed: the answer is wrong, has the wrong form or is still missing; the message says what to do.
    """
    entry = entry_for(exercise_id)
    try:
        message = _check_code(entry, answer) if entry["kind"] == "code" else _check_plain(entry, answer)
    except forms.NotAnswered as error:
        raise CheckFailed(f"… `{entry['variable']}` {error}.") from None
    except BadAnswer as error:
        raise CheckFailed(f"✗ `{entry['variable']}` {error}.") from None
    _show(Tick(f"{entry['title']}: {message}"))
    note(exercise_id)


def ask(exercise_id: str) -> None:
    """Show the question with your own numbers.

    Raises:
        CheckFailed: nobody is signed in, or the chapter has no such exercise.
    """
    from IPython.display import Markdown, display

    display(Markdown(entry_for(exercise_id)["question"]))


def _check_plain(entry: dict[str, Any], answer: Any) -> str:
    value = unpack_plain(pack(answer))
    canonical = _canonical(entry, value)
    shown = _shown(entry, value)
    if "right" not in entry:
        return f"{shown} is taken down. The mark comes with the feedback."
    near = (0,) if entry.get("decimals") is None else (0, -1, 1)  # one unit of the last place, as the grader allows
    if any(digest(entry["salt"], canonical + step) == entry["right"] for step in near):
        return f"{shown} is right."
    for wrong, message in entry["misconceptions"]:
        if any(digest(entry["salt"], canonical + step) == wrong for step in near):
            raise CheckFailed(f"✗ {shown}: {message}")
    raise CheckFailed(f"✗ {shown} is not the answer.{_where_help_is(entry)}")


def _canonical(entry: dict[str, Any], value: Any) -> Any:
    if entry["kind"] == "truefalse":
        return forms.read_truth(value)
    if entry["kind"] == "choice":
        return forms.read_option(value, entry["options"])
    number = forms.read_number(value)
    return number if entry["decimals"] is None else forms.last_places(number, entry["decimals"])


def _check_code(entry: dict[str, Any], function: Any) -> str:
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
            lines = [f"✗ {call}: {problem}.", f"  expected {_told(expected)}", f"  got      {_told(got)}"]
            lines += [*_first_difference(expected, got), _advice(entry, results)]
            raise CheckFailed("\n".join(filter(None, lines)))
    passed = "the example passes" if len(results) == 1 else f"all {len(results)} examples pass"
    return f"{passed}. Grading tries other inputs too."


def _advice(entry: dict[str, Any], results: list[dict[str, Any]]) -> str:
    """The message of the misconception that does the same, at least where a value is expected; else where help is."""
    misconceptions = dict(entry.get("misconceptions", []))
    seen = bare(results)
    for known in (seen, returning(entry["expected"], seen)):
        if message := misconceptions.get(digest(entry["salt"], rounded(known))):
            return str(message)
    return _where_help_is(entry).strip()


def _first_difference(expected: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Where two tensors of the same shape begin to differ, if they are too large to be shown."""
    want, have = (unpack_plain(result.get("value")) for result in (expected, got))
    if not (isinstance(want, np.ndarray) and isinstance(have, np.ndarray)):
        return []
    if want.shape != have.shape or want.size < 20:
        return []
    place = tuple(int(axis[0]) for axis in np.nonzero(~np.isclose(want, have, rtol=1e-4, atol=1e-6, equal_nan=True)))
    return [f"  first at {list(place)}: expected {want[place]}, got {have[place]}"] if place else []


def _shown(entry: dict[str, Any], value: Any) -> str:
    """The answer as it is repeated to its author: `16 patches`, `option 2`."""
    words = forms.describe(value)
    if entry["kind"] == "choice":
        return f"option {words}"
    return f"{words} {entry['unit']}" if entry.get("unit") and value != 1 else words


def _where_help_is(entry: dict[str, Any]) -> str:
    return " Unfold a hint above and try again." if entry["hints"] else ""


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


def _show(tick: Tick) -> None:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        print(tick)
        return
    if get_ipython() is None:
        print(tick)
    else:
        from IPython.display import display

        display(tick)
