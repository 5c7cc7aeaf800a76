"""What a learner calls: `check` below an answer, `solution` after three tries, `ask` for the question again.

Nothing here knows a kind of exercise: the sheet says which form an answer has, and whether it is a function.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

from autograde.answers import forms
from autograde.answers.deserialize import unpack_plain
from autograde.answers.serialize import BadAnswer, pack
from autograde.answers.sheet import SOLUTION, find_reply, unlock
from autograde.learner.examples import Wrong, try_examples
from autograde.learner.student import CheckFailed, entry_for
from autograde.learner.ticks import note

TRIES = 3  # different wrong answers, before the worked solution may be opened
_wrong_answers: dict[str, set[str]] = {}  # by the exercise's salt; lives as long as the kernel


class Tick:
    """A passed check, as rich text where the page can show it."""

    def __init__(self, message: str):
        self.message = message

    def __repr__(self) -> str:
        return f"✓ {self.message}"

    def _repr_html_(self) -> str:
        words = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.message))
        words = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", words)
        words = re.sub(r"\*([^\s*][^*]*)\*", r"<i>\1</i>", words)
        tick = '<b style="color: var(--jp-success-color1, #1b7f4b)">✓</b>'  # the words keep the page's own colour
        return f'<div role="status">{tick} {words}</div>'


def check(exercise_id: str, answer: Any) -> None:
    """Check `answer` against exercises.json beside the notebook: show a tick and the reason, or stop the cell.

    Raises:
        CheckFailed: the answer is wrong, has the wrong form or is still missing; the message says what to do.
    """
    from IPython.display import display

    entry = entry_for(exercise_id)
    try:
        message = try_examples(entry, answer) if "examples" in entry else _try_value(entry, answer)
    except forms.NotAnswered as error:
        raise CheckFailed(f"✎ Your turn: `{entry['variable']}` {error}, and run this cell again.") from None
    except Wrong as error:
        raise CheckFailed(f"✗ {error}{_after_tries(exercise_id, entry, error.answer)}") from None
    except BadAnswer as error:
        raise CheckFailed(f"✗ `{entry['variable']}` {error}.") from None
    title = entry["title"]
    tick = Tick(f"{title}{'' if title.endswith('?') else ':'} {message}")
    display(tick)  # outside of a notebook it prints
    note(exercise_id)


def ask(exercise_id: str) -> None:
    """Show the question with your own numbers.

    Raises:
        CheckFailed: nobody is signed in, or the chapter has no such exercise.
    """
    from IPython.display import Markdown, display

    display(Markdown(entry_for(exercise_id)["question"]))


def solution(exercise_id: str) -> None:
    """Print the worked solution, once you have tried three different answers.

    Raises:
        CheckFailed: you tried fewer, or your course has switched worked solutions off.
    """
    entry = entry_for(exercise_id)
    if "solution" not in entry:
        raise CheckFailed("✗ worked solutions are switched off in this course: ask your teacher")
    tried = len(_wrong_answers.get(entry["salt"], ()))
    if tried < TRIES:
        raise CheckFailed(f"✎ Your turn: the worked solution opens after {TRIES} different tries. So far: {tried}.")
    print(unlock(entry["solution"], entry["salt"], SOLUTION))


def _try_value(entry: dict[str, Any], answer: Any) -> str:
    """The message for a right answer.

    Raises:
        BadAnswer: it does not have the form that is asked for. Wrong: it is not right.
    """
    value = unpack_plain(pack(answer))
    meant = forms.readings(entry["form"], value)
    repeated = forms.repeat(entry["form"], value)
    if "replies" not in entry:
        return f"{repeated}: format OK, not marked yet. The mark comes with the feedback."
    for canonical in meant:
        if reply := find_reply(entry, canonical):
            right, text = reply
            if right:
                return f"{repeated} is right. {text}".strip()
            raise Wrong(f"{repeated}: {text}", json.dumps(meant[0]))
    help_text = " Unfold a hint above and try again." if entry["hints"] else ""
    raise Wrong(f"{repeated} is not the answer.{help_text}", json.dumps(meant[0]))


def _after_tries(exercise_id: str, entry: dict[str, Any], answer: str) -> str:
    """Count a wrong answer. From the third on, return how to see the worked solution."""
    tried = _wrong_answers.setdefault(entry["salt"], set())
    tried.add(answer)
    if len(tried) < TRIES or "solution" not in entry:
        return ""
    return f'\nTried enough? Write solution("{exercise_id}") in a new cell to see the worked solution.'
