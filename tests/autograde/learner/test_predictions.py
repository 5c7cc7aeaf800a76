"""A prediction is compared by what it says, however it is written."""

import numpy as np
import pytest
import torch

from autograde.learner.predictions import compare


@pytest.mark.parametrize(
    ("guess", "found"),
    [
        (65, 65),
        (65.0, 65),
        (np.int64(65), 65),
        (torch.tensor(65), 65),
        ((0, 1, 2, 3), [0, 1, 2, 3]),
        (torch.arange(4), [0, 1, 2, 3]),
        ([2, 8], (2, 8)),
        ([torch.tensor(2), 8], (2, 8)),
        (1, True),
        ("Keep ", "keep"),
    ],
)
def test_one_guess_may_be_written_in_several_ways(capsys, guess, found):
    compare(guess, found)
    assert capsys.readouterr().out == f"Found: {found}, just as you said.\n"


@pytest.mark.parametrize("guess", [64, None, [65], torch.arange(3), np.ones(2), 65.5])
def test_another_guess_is_something_to_explain(capsys, guess):
    compare(guess, 65)
    assert "Good: now there is something to explain." in capsys.readouterr().out


def test_a_text_of_the_number_is_told_to_lose_its_quotes(capsys):
    compare("65", 65)
    assert "You said '65', a text: write it without quotes" in capsys.readouterr().out
    compare("grow", "shrink")
    assert "You said grow. Good" in capsys.readouterr().out
