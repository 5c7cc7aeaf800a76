"""From a key to exercises.json: prompts, hints, the form of each answer, and digests instead of answers."""

from __future__ import annotations

import json
from typing import Any

from autograde.exercises import Choice, Code, Exercise, Numeric, Plain
from autograde.key import Key
from autograde.outcomes import outcomes
from autograde.sheet import digest
from autograde.wire import pack


def make_sheet(key: Key, feedback: str = "full") -> str:
    """The text of exercises.json, the same for the same key."""
    entries = {exercise.id: _entry(key.chapter, exercise, feedback == "full") for exercise in key.exercises.values()}
    sheet = {"chapter": key.chapter, "feedback": feedback, "exercises": entries}
    return json.dumps(sheet, indent=1, ensure_ascii=False) + "\n"


def _entry(chapter: str, exercise: Exercise, full: bool) -> dict[str, Any]:
    salt = f"{chapter}/{exercise.id}"
    entry: dict[str, Any] = {
        "kind": exercise.kind,
        "variable": exercise.variable,
        "title": exercise.title,
        "points": exercise.points,
        "salt": salt,
        "prompt": exercise.fill(exercise.prompt),
        "hints": [exercise.fill(hint) for hint in exercise.hints],
    }
    if isinstance(exercise, Choice):
        entry["options"] = list(exercise.options)
    if isinstance(exercise, Numeric):
        entry |= {"unit": exercise.unit, "decimals": exercise.decimals}
    if isinstance(exercise, Code):
        examples = [pack(arguments) for arguments in exercise.examples]
        expected = outcomes(exercise.reference, examples)
        entry |= {"examples": examples, "expected": expected, "tolerance": exercise.tolerance}
        known = {json.dumps(expected, sort_keys=True)}
        slips = []
        for slip in exercise.slips:
            wrong = outcomes(slip.answer, examples)
            text = json.dumps(wrong, sort_keys=True)
            if text not in known:  # the examples cannot tell this slip from another, or from the right function
                known.add(text)
                slips.append([digest(salt, wrong), exercise.fill(slip.message)])
    elif isinstance(exercise, Plain):
        entry["right"] = digest(salt, exercise.right)
        slips = [
            [digest(salt, exercise.read(exercise.value(slip.answer))), exercise.fill(slip.message)]
            for slip in exercise.slips
        ]
    if full:
        entry["slips"] = slips
    else:
        entry.pop("right", None)
    return entry
