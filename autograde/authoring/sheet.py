"""From a key to exercises.json: prompts, the form of each answer, and locked replies instead of answers."""

from __future__ import annotations

import json
from typing import Any

from autograde.answers.outcomes import outcome_difference
from autograde.answers.sheet import SOLUTION, lock, make_replies
from autograde.authoring.key import Key
from autograde.authoring.prompt import question
from autograde.exercises import Exercise

FEEDBACK = ("full", "check", "form")  # with worked solutions; without; without any digest of an answer
_FORMAT = 3  # of the sheet; a sheet in another format is rewritten
_COMPUTED = {"examples", "expected", "replies"}  # computed by the functions of a Code exercise


def make_sheet(key: Key, feedback: str = "full", course: str = "", before: str = "") -> str:
    """The text of exercises.json, the same for the same key on every machine, given the text `before`.

    feedback: "full" for self-study, "check" to leave out worked solutions, "form" to leave out every digest.
    With a `course`, every exercise that varies lists its variants, and each student of that course gets one of them.
    """
    old = json.loads(before) if before else {}
    same = (old.get("format"), old.get("key"), old.get("feedback")) == (_FORMAT, key.digest, feedback)
    kept = old["exercises"] if same else {}
    sheet: dict[str, Any] = {"chapter": key.chapter, "format": _FORMAT, "key": key.digest, "feedback": feedback}
    if course:
        sheet["course"] = course
    sheet["exercises"] = {}
    for exercise in key.exercises.values():
        entry: dict[str, Any] = {
            "kind": exercise.kind,
            "variable": exercise.variable,
            "title": exercise.title,
            "points": exercise.points,
            "hints": len(exercise.hints or ()),
        }
        salt = f"{key.chapter}/{exercise.id}"
        entry |= _content(salt, exercise, feedback)
        if course and exercise.variants:
            variants = enumerate(exercise.variants)
            entry["variants"] = [_content(f"{salt}/{number}", variant, feedback) for number, variant in variants]
        if exercise.id in kept and _equal_but_for_rounding(entry, kept[exercise.id]):
            entry |= {name: kept[exercise.id][name] for name in _COMPUTED & entry.keys()}
        sheet["exercises"][exercise.id] = entry
    return json.dumps(sheet, indent=1, ensure_ascii=False) + "\n"


def _equal_but_for_rounding(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether both come from the same key: the last bits of floats differ from one CPU to another."""
    if "expected" not in new:
        return False
    pairs = zip(new["expected"], old["expected"], strict=True)
    return not any(outcome_difference(one, other, tolerance=1e-4) for one, other in pairs)


def _content(salt: str, exercise: Exercise, feedback: str) -> dict[str, Any]:
    """The part of an entry that differs between variants."""
    content: dict[str, Any] = {"salt": salt, "question": question(exercise), **exercise.entry()}
    if feedback != "form":
        content["replies"] = make_replies(salt, exercise.replies())
    if feedback == "full":
        content["solution"] = lock(exercise.solution(), salt, SOLUTION)
    return content
