"""Every wrong form of an answer gets one line that says what came, what was expected and what to do."""

import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch

from autograde.answers.deserialize import unpack_plain
from autograde.answers.forms import (
    NotAnswered,
    last_places,
    list_of,
    number,
    option,
    read_number,
    read_option,
    read_truth,
    readings,
    truth,
)
from autograde.answers.serialize import BadAnswer, Named, Opaque, pack


@pytest.mark.parametrize(("value", "expected"), [(196, 196), (196.0, 196), (True, 1), (0.5, 0.5), (9**30, 9**30)])
def test_numbers_are_read(value, expected):
    assert read_number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.tensor(196), 196),
        (torch.tensor([[0.67]]), 0.67),  # float32: its digits are what the learner sees
        (torch.nn.Parameter(torch.tensor(196.0)), 196),
        (torch.tensor(0.1, dtype=torch.bfloat16), 0.100097656),
        (torch.tensor([True]), 1),
        (np.float32(0.67), 0.67),
        (np.longdouble(0.5), 0.5),
        (np.array(196, "uint8"), 196),
        (Fraction(1, 3), 1 / 3),
        (Fraction(-(10**30)), -(10**30)),
        (Decimal("0.67"), 0.67),
        (Decimal("1e30"), 10**30),
        (sympy.Integer(196), 196),
        (sympy.Float(0.67), 0.67),
    ],
    ids=lambda value: f"{type(value).__name__} {value!r}"[:40],
)
def test_what_a_cell_computes_is_read_by_its_value(value, expected):
    assert read_number(unpack_plain(pack(value))) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("196", "the text '196'; expected a number: write it without quotes"),
        ("1e-3", "without quotes$"),
        ("80 %", "the text '80 %'; expected a number: write it alone, without quotes and unit$"),
        ("196 patches", "without quotes and unit$"),
        (np.ones((2, 3)), r"shape \(2, 3\); expected a number$"),
        (np.array(1 + 0j), r"shape \(\); expected a number$"),
        (Named("fractions.Fraction", "1/0"), r"1/0 \(fractions.Fraction\); expected a number$"),
        (Named("decimal.Decimal", "sNaN"), "expected a number$"),
        (Named("decimal.Decimal", "1e999999999"), "inf; expected a finite number"),
        (Named("datetime.date", "2026"), "expected a number$"),
        ([196], "a list or tuple of 1 value; expected one number: write it without brackets and commas"),
        ([8, 457], "a list or tuple of 2 values; expected one number: write it without brackets and commas"),
        ([], "a list or tuple of 0 values; expected a number$"),
        ("8,457", "the text '8,457'; expected a number: write it without quotes and commas$"),
        ("14 x 14", r"the text '14 x 14'; expected a number: write it without quotes, as 14 \* 14$"),
        ("2×3·4", r"without quotes, as 2 \* 3 \* 4$"),
        ("true", "the text 'true'; expected a number$"),
        (None, "None; expected a number"),
        ({"a": 1}, "a dict of 1 item"),
        (Opaque("PatchGrid"), "an object of type PatchGrid"),
        (float("nan"), "nan; expected a finite number"),
        (float("inf"), "inf; expected a finite number"),
    ],
)
def test_what_is_no_number_is_named(value, words):
    with pytest.raises(BadAnswer, match=words):
        read_number(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("true", "is the text 'true'; expected 1 for true or 0 for false$"),
        ("1", "is the text '1'; expected 1 for true or 0 for false: write it without quotes"),
        (None, "is None; expected 1 for true or 0 for false$"),
        ([1], "1 value; expected 1 for true or 0 for false: write it without brackets"),
        (float("nan"), "is nan; expected 1 for true or 0 for false$"),
    ],
)
def test_what_is_no_truth_value_is_told_how_to_write_one(value, words):
    with pytest.raises(BadAnswer, match=words):
        read_truth(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("patchify", "is the text 'patchify'; expected the number of an option, 1 to 3$"),
        ("2", "is the text '2'; expected the number of an option, 1 to 3: write it without quotes"),
        ([2], "1 value; expected the number of an option, 1 to 3: write it without brackets"),
    ],
)
def test_what_is_no_option_is_told_how_to_name_one(value, words):
    with pytest.raises(BadAnswer, match=words):
        read_option(value, 3)


@pytest.mark.parametrize("read", [read_number, read_truth, lambda value: read_option(value, 3)])
def test_dots_are_no_answer_yet(read):
    with pytest.raises(NotAnswered, match="put your answer in place of the dots"):
        read(...)


def test_true_is_fine_for_1():
    assert read_truth(True) == read_truth(1) == read_truth(1.0) == 1
    assert read_truth(False) == 0


@pytest.mark.parametrize("value", [2, -1, 0.5, 10**400])
def test_other_numbers_are_no_truth_values(value):
    with pytest.raises(BadAnswer, match="expected 1 for true or 0 for false"):
        read_truth(value)


@pytest.mark.parametrize("value", [0, 4, 1.5, -1])
def test_numbers_outside_the_list_are_no_options(value):
    with pytest.raises(BadAnswer, match="the number of an option, 1 to 3"):
        read_option(value, 3)


@pytest.mark.parametrize(("number", "places"), [(2 / 3, 67), (1e308, 100 * int(1e308)), (10**400, 10**402)])
def test_last_places_never_overflow(number, places):
    assert last_places(number, 2) == places


INTERVAL = list_of(number(decimals=1), length=2)


@pytest.mark.parametrize(
    ("form", "value", "canonical"),
    [
        (INTERVAL, [0.5, 2], [5, 20]),
        (INTERVAL, [2, 0.5], [20, 5]),  # the order matters
        (list_of(option(4), ordered=False), [3, 1], [1, 3]),
        (list_of(truth()), [True, 0], [1, 0]),
        (list_of(number()), [], []),
        (INTERVAL, np.array([0.5, 2], "float32"), [5, 20]),
        (list_of(truth()), [np.array(True), np.array([0])], [1, 0]),
    ],
)
def test_a_list_is_read_item_by_item(form, value, canonical):
    assert readings(form, value) == [canonical]
    assert json.loads(json.dumps(form)) == form  # it stands in exercises.json


@pytest.mark.parametrize(
    ("form", "value", "words"),
    [
        (INTERVAL, [1], "a list or tuple of 1 value; expected 2"),
        (INTERVAL, 1.5, "expected a list, such as"),
        (INTERVAL, np.ones((1, 2)), "expected a list, such as"),
        (INTERVAL, [1, "2"], "without quotes"),
        (list_of(option(4), ordered=False), [1, 1], "names an item twice"),
        (list_of(option(4), ordered=False), [5], "an option, 1 to 4"),
        ({"of": "a form of next year"}, 1, "update the package"),
    ],
)
def test_a_list_of_another_form_is_told(form, value, words):
    with pytest.raises(BadAnswer, match=words):
        readings(form, value)


def test_the_dots_are_no_answer_in_a_list_either():
    for value in (..., [1, ...]):
        with pytest.raises(NotAnswered):
            readings(INTERVAL, value)
