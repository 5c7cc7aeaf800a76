"""The largest batch that fits, by trying or by measuring."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.vitlib.training.test_predict import Glutton
from vitlib.data.datasets import Pictures
from vitlib.models import create
from vitlib.training.batch_size import FIRST, _step, largest_batch, step_memory
from vitlib.training.memory import goes_through
from vitlib.training.predict import predict
from vitlib.training.search import largest


def modes(model):
    return [module.training for module in model.modules()]


@given(threshold=st.integers(0, 5000), limit=st.integers(1, 3000))
def test_search_finds_the_threshold_in_few_trials(threshold, limit):
    trials = []

    def fits(n):
        trials.append(n)
        return n <= threshold

    assert largest(fits, limit) == min(threshold, limit)
    assert max(trials) <= limit and len(trials) <= 2 * limit.bit_length() + 1


@given(threshold=st.integers(0, 5000), limit=st.none() | st.integers(1, 6000), guess=st.integers(-9, 9000))
def test_a_good_guess_saves_trials_and_a_bad_one_is_put_right(threshold, limit, guess):
    trials = []

    def fits(n):
        trials.append(n)
        return n <= threshold

    expected = threshold if limit is None else min(threshold, limit)
    assert largest(fits, limit, guess) == expected
    assert min(trials) >= 1 and (limit is None or max(trials) <= limit) and len(trials) == len({*trials})
    assert len(trials) <= 2 * max(abs(guess - expected), 1).bit_length() + 3


def test_the_memory_of_a_step_is_counted_to_the_byte():
    layer = nn.Linear(100, 10, bias=False)
    model = nn.Sequential(nn.Flatten(), layer)
    pictures, logits = 8 * 100 * 4, 8 * 10 * 4  # bytes
    assert step_memory(model, torch.zeros(1, 10, 10), batch_size=8) == pictures + 2 * logits  # joined: a copy


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("amp", [False, True])
def test_the_estimate_holds_within_two_percent(train, amp):
    model, picture = create("vit_digits_patch2_8"), torch.zeros(1, 8, 8)
    memory = 5 * step_memory(model, picture, FIRST[1], train, amp)
    found = largest_batch(model, picture, train, amp, memory)
    assert found > FIRST[1]
    assert step_memory(model, picture, found, train, amp) <= 1.02 * memory
    assert step_memory(model, picture, round(1.05 * found) + 1, train, amp) > memory
    assert largest_batch(model, picture, train, amp, memory, limit=7) == 7
    assert largest_batch(model, picture, train, amp, memory=1) == 0


def test_training_takes_more_than_asking():
    model, picture = create("vit_digits_patch2_8"), torch.zeros(1, 8, 8, dtype=torch.uint8)
    weights = 4 * sum(each.numel() for each in model.parameters())  # bytes
    assert step_memory(model, picture, 1, train=True) > 3 * weights > step_memory(model, picture, 1)


def test_a_refusal_is_believed_and_another_error_is_not():
    picture = torch.zeros(1, 2, 2)
    for train in (False, True):
        step = partial(_step, Glutton(most=5), picture, train=train, amp=False)
        assert largest(partial(goes_through, step), limit=64) == 5
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        goes_through(partial(_step, nn.Sequential(nn.Flatten(), nn.Linear(5, 1)), picture, train=False, amp=False), 1)


def test_finding_the_batch_leaves_the_model_and_the_dice_as_they_were():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(64, 2))
    picture = torch.rand(1, 8, 8)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    dice = torch.get_rng_state()
    largest_batch(model, picture, train=True, memory=100_000)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert torch.equal(dice, torch.get_rng_state()) and all(each.grad is None for each in model.parameters())


def test_a_cpu_is_not_tried_out():
    with pytest.raises(ValueError, match=r"memory is None on cpu, which swaps .* say how many bytes"):
        largest_batch(create("vit_digits_patch2_8"), torch.zeros(1, 8, 8))


@pytest.mark.usefixtures("as_a_learner")
def test_a_batch_is_not_taken_for_a_picture():
    """Sixteen pictures at a time would make the answer a sixteenth."""
    model = create("vit_digits_patch2_8", seed=0)
    for pictures in (torch.zeros(16, 1, 8, 8), torch.zeros(8, 8), torch.zeros(1, 0, 8)):
        for ask in (lambda x: step_memory(model, x, 2), lambda x: largest_batch(model, x, memory=10**7)):
            with pytest.raises(ValueError, match=r"picture has shape .*: expected three axes, \(C, H, W\)"):
                ask(pictures)
    for memory in (0, -5, float("nan")):
        with pytest.raises(ValueError, match=f"memory is {memory}: expected bytes"):
            largest_batch(model, torch.zeros(1, 8, 8), memory=memory)


def test_a_fitted_batch_goes_through_predict():
    pictures = Pictures(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), torch.zeros(40).long(), ("dot",))
    model = create("vit_digits_patch2_8")
    batch = largest_batch(model, pictures.images[0], memory=1_000_000)
    assert predict(model, pictures.images, batch).shape == (40, 10)
