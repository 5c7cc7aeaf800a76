"""exercises.json is the same on every machine, though the last bits of floats are not."""

import json

import pytest
import torch

from autograde.answers.outcomes import outcomes, rounded
from autograde.answers.serialize import pack
from autograde.authoring.key import Key
from autograde.authoring.sheet import make_sheet
from autograde.exercises import Code


def halve(x: torch.Tensor) -> torch.Tensor:
    """Half of x."""
    return x / 2


EXERCISE = Code(
    "halve", title="Half", points=1, prompt="Halve it.", reference=halve, examples=[(torch.tensor([0.1, -0.2, 0.3]),)],
    checks={"any": [(torch.tensor([1.0]),)]},
)  # fmt: skip


@EXERCISE.misconception("doubled", "That is twice x.")
def _(x):
    return x * 2


KEY = Key("00-any", {EXERCISE.id: EXERCISE}, "the key's digest")


def on_another_cpu(text: str) -> str:
    """The sheet as it would be where the last bit of every float is another."""
    sheet = json.loads(text)
    halves = torch.tensor([0.05, -0.1, 0.15])
    sheet["exercises"]["halve"]["expected"] = [{"value": pack(halves.nextafter(torch.ones(3)))}]
    return json.dumps(sheet, indent=1, ensure_ascii=False) + "\n"


def test_a_sheet_of_the_same_key_is_left_as_it_was():
    there = on_another_cpu(make_sheet(KEY))
    assert make_sheet(KEY) != there
    assert make_sheet(KEY, before=there) == there


def test_a_sheet_of_another_key_is_made_anew():
    there = on_another_cpu(make_sheet(KEY)).replace("the key's digest", "an older key's digest")
    assert make_sheet(KEY, before=there) == make_sheet(KEY)


def test_a_value_that_differs_by_more_than_rounding_is_made_anew():
    there = json.loads(make_sheet(KEY))
    there["exercises"]["halve"]["expected"] = [{"value": pack(torch.tensor([0.05, -0.1, 0.16]))}]
    assert make_sheet(KEY, before=json.dumps(there)) == make_sheet(KEY)


@pytest.mark.parametrize("value", [torch.tensor([0.1, -2.5]), [0.1, torch.tensor(-2.5)], {"a": 0.1}, 0.1])
def test_digests_do_not_see_the_last_bits(value):
    def nearly(value):
        match value:
            case torch.Tensor():
                return value * (1 + 1e-6)
            case list():
                return [nearly(item) for item in value]
            case dict():
                return {key: nearly(item) for key, item in value.items()}
        return value * (1 + 1e-12)

    exactly, almost = (rounded(outcomes(lambda given=given: given, [[]])) for given in (value, nearly(value)))
    assert exactly == almost
    assert exactly != rounded(outcomes(lambda: None, [[]]))


def test_nothing_becomes_minus_zero_and_nan_stays():
    assert rounded([{"value": pack(-0.0001)}]) == [{"value": 0.0}]
    assert rounded([{"value": pack(float("nan"))}]) == [{"value": {"float": "nan"}}]
    assert rounded([{"raised": ["ValueError"]}]) == [{"raised": ["ValueError"]}]
