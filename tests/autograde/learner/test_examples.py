"""What a learner sees of the examples that a function is tried on: which one fails, where, and what to look at."""

import pytest
import torch

from autograde import check
from autograde.answers.outcomes import outcome_difference, rounded
from autograde.answers.serialize import pack
from autograde.answers.sheet import make_replies
from autograde.learner.check import CheckFailed
from tests.autograde.learner.test_check import failure, right_rows


def test_a_wrong_function_is_shown_the_example(chapter):
    with pytest.raises(CheckFailed) as caught:
        check("cut-rows", lambda images, patch: images)
    assert "rows(tensor (1, 1, 4, 2) [[[[0, 1], [2, 3], [4, 5], [6, 7]]]], 2)" in str(caught.value)
    assert "expected tensor (1, 2, 1, 2, 2) [[[[[0, 1], [2, 3]]], [[[4, 5], [6, 7]]]]]" in str(caught.value)
    assert "got      tensor (1, 1, 4, 2)" in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "given", "words"),
    [
        (torch.ones(2), torch.ones(2).double(), "it holds float64 values, expected float32"),
        (torch.ones(2).byte(), torch.ones(2).long(), "it holds int64 values, expected uint8"),
        (torch.ones(2).long(), torch.ones(2).byte(), "it holds uint8 values, expected int64"),
        (2, 2.0, "it is a float"),
        ((torch.ones(2), 1), (torch.ones(2).double(), 1), "its value number 1: it holds float64 values"),
        ([0, 3], [0, 3.0], "its value number 2: it is a float"),
        ((torch.ones(2),), (torch.ones(2).numpy(),), "its value number 1: it is an array of NumPy"),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, "its value for 'b': its value number 1: it is a float"),
    ],
)
def test_right_numbers_in_a_wrong_form_are_wrong(wanted, given, words):
    one, other = {"value": pack(wanted)}, {"value": pack(given)}
    assert outcome_difference(one, one, 1e-5) is None
    assert str(outcome_difference(one, other, 1e-5)).startswith(words)


@pytest.mark.parametrize("count", [2, 12, 19, 20, 500])
def test_the_first_place_that_differs_is_shown_whatever_the_size(chapter, monkeypatch, count):
    entry = {"salt": "s", "variable": "f", "hints": 0, "tolerance": 1e-5, "examples": [[]]}
    entry["expected"] = [{"value": pack(torch.arange(count).float())}]
    wrong = torch.arange(count).float()
    wrong[count // 2] += 0.25
    monkeypatch.setattr("autograde.learner.check.entry_for", lambda exercise: entry)
    assert f"first at [{count // 2}]: expected {count // 2}.0, got {count // 2 + 0.25}" in failure(
        check, "f", lambda: wrong
    )


def test_the_first_place_inside_of_a_dict_and_a_list_is_shown(chapter, monkeypatch):
    entry = {"salt": "s", "variable": "f", "hints": 0, "tolerance": 0, "examples": [[]]}
    entry["expected"] = [{"value": pack({"bias": [1, torch.zeros(2, 2)]})}]
    monkeypatch.setattr("autograde.learner.check.entry_for", lambda exercise: entry)
    message = failure(check, "f", lambda: {"bias": [1, torch.eye(2)]})
    assert "first at ['bias'][1][0, 0]: expected 0.0, got 1.0" in message
    assert "first at ['bias'][0]: expected 1, got 2" in failure(check, "f", lambda: {"bias": [2, torch.zeros(2, 2)]})


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (4e-4, 3e-4, "expected 0.0004\n  got      0.0003"),
        (torch.tensor([0.84147]), torch.tensor([0.841]), "first at [0]: expected 0.84147, got 0.841"),
    ],
)
def test_a_value_that_is_off_in_the_fourth_decimal_is_shown_beside_the_right_one(
    chapter, monkeypatch, right, wrong, words
):
    entry = {"salt": "s", "variable": "f", "hints": 1, "tolerance": 1e-5, "examples": [[]]}
    entry["expected"] = [{"value": pack(right)}]
    known = rounded(entry["expected"])  # as every key says it of a function that does not raise
    entry["replies"] = make_replies("s", [(known, False, "Every value is right. Now raise what is asked for.")])
    monkeypatch.setattr("autograde.learner.check.entry_for", lambda exercise: entry)
    message = failure(check, "f", lambda: wrong)
    assert words in message and message.endswith("Unfold a hint above and try again.")


def test_a_misconception_is_named_though_its_first_value_is_off_in_the_fifth_decimal_only(chapter, monkeypatch):
    """Two examples, of which the second tells it from the right answer."""
    wrong = {0: torch.tensor([1.00002]), 1: torch.tensor([2.5])}
    entry = {"salt": "s", "variable": "f", "hints": 1, "tolerance": 1e-5, "examples": [[0], [1]]}
    entry["expected"] = [{"value": pack(torch.tensor([1.0]))}, {"value": pack(torch.tensor([2.0]))}]
    known = rounded([{"value": pack(each)} for each in wrong.values()])
    entry["replies"] = make_replies("s", [(known, False, "That is the other eps.")])
    monkeypatch.setattr("autograde.learner.check.entry_for", lambda exercise: entry)
    assert failure(check, "f", wrong.get).endswith("expected 1.0, got 1.00002\nThat is the other eps.")


def test_a_name_that_is_not_defined_is_named(chapter):
    assert "raises NameError: `patchs` is not defined" in failure(check, "cut-rows", lambda images, patch: patchs)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(), "Your ValueError says nothing: let it name the value"),
        (ValueError("no"), "Your ValueError says only “no”: let it name the value"),
        (ValueError("height 3 does not divide"), ""),
        (ValueError("expected a multiple of 2."), ""),
    ],
)
def test_a_tick_remarks_on_an_error_that_names_no_value(chapter, capsys, error, words):
    def rows(images, patch):
        if images.shape[2] % patch:
            raise error
        return right_rows(images, patch)

    check("cut-rows", rows)
    told = capsys.readouterr().out
    assert words in told and ("Your ValueError" in told) == bool(words)
