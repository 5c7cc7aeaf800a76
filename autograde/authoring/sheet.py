"""From a key to exercises.json: prompts, the form of each answer, and digests instead of answers."""

from __future__ import annotations

import json
from typing import Any

from autograde.answers.outcomes import bare, outcome_difference, outcomes, returning, rounded
from autograde.answers.serialize import pack
from autograde.answers.sheet import digest
from autograde.authoring.key import Key
from autograde.authoring.prompt import question
from autograde.exercises import Choice, Code, Exercise, Numeric, Plain

_COMPUTED = {"examples", "expected", "misconceptions"}  # what the functions of a Code exercise give


def make_sheet(key: Key, feedback: str = "full", course: str = "", before: str = "") -> str:
    """The text of exercises.json, the same for the same key on every machine, given the text that was there `before`.

    With feedback "form" no digest is in it. With a `course`, every exercise that varies lists its variants, and
    each student of that course gets one of them.
    """
    full = feedback == "full"
    old = json.loads(before) if before else {}
    kept = old["exercises"] if old.get("key") == key.digest and old["feedback"] == feedback else {}
    sheet: dict[str, Any] = {"chapter": key.chapter, "key": key.digest, "feedback": feedback, "exercises": {}}
    if course:
        sheet["course"] = course
    for exercise in key.exercises.values():
        entry = _form(exercise) | _content(f"{key.chapter}/{exercise.id}", exercise, full)
        if course and isinstance(exercise, Plain) and exercise.parameter_values:
            salts = (f"{key.chapter}/{exercise.id}/{number}" for number in range(len(exercise.variants)))
            pairs = zip(salts, exercise.variants, strict=True)
            entry["variants"] = [_content(salt, variant, full) for salt, variant in pairs]
        if isinstance(exercise, Code) and exercise.id in kept and _equal_but_for_rounding(entry, kept[exercise.id]):
            entry |= {name: kept[exercise.id][name] for name in _COMPUTED & entry.keys()}
        sheet["exercises"][exercise.id] = entry
    return json.dumps(sheet, indent=1, ensure_ascii=False) + "\n"


def _equal_but_for_rounding(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether one key gave both: the last bits of floats differ from one CPU to another."""
    pairs = zip(new["expected"], old["expected"], strict=True)
    return not any(outcome_difference(one, other, tolerance=1e-4) for one, other in pairs)


def _form(exercise: Exercise) -> dict[str, Any]:
    """What is the same for all variants."""
    form: dict[str, Any] = {
        "kind": exercise.kind,
        "variable": exercise.variable,
        "title": exercise.title,
        "points": exercise.points,
        "hints": len(exercise.hints),
    }
    if isinstance(exercise, Choice):
        form["options"] = len(exercise.options)
    if isinstance(exercise, Numeric):
        form |= {"unit": exercise.unit, "decimals": exercise.decimals}
    if isinstance(exercise, Code):
        form["tolerance"] = exercise.tolerance
    return form


def _content(salt: str, exercise: Exercise, full: bool) -> dict[str, Any]:
    """The question and, for self-study, the digests of its answer and misconceptions."""
    content: dict[str, Any] = {"salt": salt, "question": question(exercise)}
    if isinstance(exercise, Code):
        examples = [pack(arguments) for arguments in exercise.examples]
        content |= {"examples": examples, "expected": bare(outcomes(exercise.reference, examples))}
    if full:
        content |= _code_digests(salt, exercise) if isinstance(exercise, Code) else _digests(salt, exercise)
    return content


def _digests(salt: str, exercise: Exercise) -> dict[str, Any]:
    assert isinstance(exercise, Plain)
    misconceptions = [
        (exercise.read(exercise.value(misconception.answer)), exercise.fill(misconception.message))
        for misconception in exercise.misconceptions
    ]
    return {
        "right": digest(salt, exercise.right),
        "misconceptions": [[digest(salt, wrong), text] for wrong, text in misconceptions],
    }


def _code_digests(salt: str, exercise: Code) -> dict[str, Any]:
    """Slips by what they make of the examples; those that the examples cannot tell apart are left to grading."""
    examples = [pack(arguments) for arguments in exercise.examples]
    expected = bare(outcomes(exercise.reference, examples))
    known = [rounded(expected), rounded(returning(expected, expected))]
    misconceptions = []
    for misconception in exercise.misconceptions:
        wrong = bare(outcomes(misconception.answer, examples))
        for seen in map(rounded, (wrong, returning(expected, wrong))):  # the second: before any refusal is written
            if seen not in known:
                known.append(seen)
                misconceptions.append([digest(salt, seen), exercise.fill(misconception.message)])
    return {"misconceptions": misconceptions}
