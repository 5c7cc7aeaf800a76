"""A number: what is accepted, and what is said to one that is nearly right. Marking and `check` read it alike."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from autograde.answers.deserialize import unpack_plain
from autograde.answers.forms import readings
from autograde.answers.serialize import pack
from autograde.answers.sheet import find_reply, make_replies
from autograde.exercises import Misconception, Numeric
from autograde.exercises.verdict import Status


def number(answer, decimals, unit="", misconceptions=()):
    return Numeric(
        "n",
        title="N",
        prompt="?",
        answer=answer,
        decimals=decimals,
        unit=unit,
        misconceptions=misconceptions,
        why="So.",
    )


def told(exercise: Numeric, reply: Any) -> str:
    """What grading says, after a look at the sheet: `check` has to say the same."""
    packed = pack(reply)
    verdict = exercise.mark({"answer": packed})
    entry = {"salt": "s", "replies": make_replies("s", exercise.replies())}
    replies = (find_reply(entry, canonical) for canonical in readings(exercise.form, unpack_plain(packed)))
    found = next(filter(None, replies), None)
    assert found == (
        None if "is not the answer" in verdict.message else (verdict.status is Status.RIGHT, verdict.message)
    )
    assert verdict.points == (verdict.status is Status.RIGHT)
    return verdict.message


@pytest.mark.parametrize("reply", [0.67, 0.66, 0.68, 2 / 3, Fraction(2, 3), torch.tensor([0.67]), np.float16(0.66)])
def test_an_answer_with_more_places_may_be_off_by_one_in_the_last(reply):
    assert told(number(2 / 3, 2), reply) == "So."


@pytest.mark.parametrize(("answer", "near"), [(80.0, 79.9), (0.35, 0.34), (0.35, 0.36), (12, 12.1)])
def test_an_answer_that_needs_no_rounding_is_exact(answer, near):
    decimals = 2 if answer < 1 else 1
    assert told(number(answer, decimals), answer) == "So."
    assert "is not the answer" in told(number(answer, decimals), near)


@pytest.mark.parametrize(
    ("answer", "decimals", "reply"),
    [(2 / 3, 3, 0.67), (2 / 3, 2, 0.7), (86.412, 1, 86), (0.0123, 4, 0.012), (0.125, 3, 0.12), (0.125, 3, 0.13)],
)
def test_rounding_too_early_is_named(answer, decimals, reply):
    places = "1 decimal place" if decimals == 1 else f"{decimals} decimal places"
    assert told(number(answer, decimals), reply) == f"Right, but give {places}."


@pytest.mark.parametrize(("answer", "decimals", "reply"), [(0.67, 2, 1), (2.3, 1, 2), (0.0004, 4, 0.0), (0.67, 2, 0.6)])
def test_what_may_be_right_by_chance_is_not_called_right(answer, decimals, reply):
    assert "is not the answer" in told(number(answer, decimals), reply)


@pytest.mark.parametrize("reply", [67, 66.7, 66.67])
def test_per_cent_in_place_of_a_share_is_named(reply):
    assert "right in per cent" in told(number(2 / 3, 2), reply)


def test_a_share_in_place_of_per_cent_is_named():
    assert "hundred times" in told(number(67, None, "%"), 0.67)
    assert "hundred times" in told(number(66.7, 1, "%"), 0.667)


def test_a_count_is_no_share():
    assert "is not the answer" in told(number(196, None, "patches"), 1.96)
    assert "is not the answer" in told(number(86.4, 1, "MB"), 8640)


def test_a_misconception_comes_first():
    wrong = [Misconception("rounded", 0.7, "One of ten parts is missing.")]
    assert told(number(2 / 3, 2, misconceptions=wrong), 0.7) == "One of ten parts is missing."
