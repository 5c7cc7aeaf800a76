"""A trained model asked: in batches, in windows, and with as many pictures at a time as fit."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vitlib.data.datasets import Pictures, digits, normalise
from vitlib.data.pictures import normalisation
from vitlib.models import create
from vitlib.training.batch_size import FIRST, _step, largest_batch, step_memory
from vitlib.training.memory import goes_through
from vitlib.training.predict import in_mode, predict, sliding_window
from vitlib.training.search import largest

SIDES = st.integers(1, 40)  # pixels


def modes(model):
    return [module.training for module in model.modules()]


# predict


@pytest.mark.parametrize("batch", [1, 7, 20, 1000])
def test_the_batch_changes_no_answer(batch):
    model, images = create("vit_digits_patch2_8", seed=0), digits()[1].images[:20]
    together = model.eval()(normalise(images, (0.5,), (0.5,)))
    assert torch.allclose(predict(model, images, batch), together, atol=1e-5)


def test_bytes_are_normalised_as_the_model_was_trained_and_floats_are_taken_as_they_are():
    model = create("vit_digits_patch2_8", seed=0, mean=(0.2,), std=(0.4,))
    images = digits()[1].images[:5]
    assert torch.equal(predict(model, images), predict(model, (images.float() / 255 - 0.2) / 0.4))
    assert not torch.allclose(predict(model, images), predict(model, images / 255), atol=1e-3)


def test_a_model_without_a_configuration_gets_pixels_from_minus_one_to_one():
    assert normalisation(nn.Flatten()) == ((0.5,), (0.5,))
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert predict(nn.Flatten(), images).tolist() == [[-1.0, 1.0]]


def test_amp_computes_in_half_the_bits_and_answers_in_all():
    model, images = create("vit_digits_patch2_8", seed=0), digits()[1].images[:9]
    exact, half = predict(model, images), predict(model, images, amp=True)
    assert half.dtype == torch.float32 and not torch.equal(half, exact)
    assert torch.allclose(half, exact, atol=0.05)


def test_a_model_is_asked_in_evaluation_mode_and_left_as_it_was():
    model = create("vit_digits_patch2_8", seed=0, dropout=0.5)
    model.train()
    model.blocks[0].eval()  # as in partial fine-tuning
    before, images = modes(model), digits()[1].images[:4]
    assert torch.equal(predict(model, images), predict(model, images))
    assert modes(model) == before
    with pytest.raises(ValueError), in_mode(model, training=False):
        raise ValueError
    assert modes(model) == before


@pytest.mark.usefixtures("as_a_learner")
def test_predict_says_what_is_wrong():
    model = create("vit_digits_patch2_8")
    with pytest.raises(ValueError, match="there are no images: expected at least one"):
        predict(model, torch.zeros(0, 1, 8, 8))
    with pytest.raises(ValueError, match=r"expected four axes, \(B, C, H, W\); add the batch axis"):
        predict(model, torch.zeros(1, 8, 8))
    with pytest.raises(ValueError, match=r"take model.resized\(\(9, 9\)\)"):
        predict(model, torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
    with pytest.raises(ValueError, match="batch_size is 0: expected at least 1"):
        predict(model, torch.zeros(1, 1, 8, 8), batch_size=0)


class Glutton(nn.Module):
    """Asks for more memory than any machine has when it is given more than `most` pictures."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images):
        torch.empty(10**15 if len(images) > self.most else 1)
        return images.flatten(1) * self.weight


def test_too_large_a_batch_says_who_finds_one_that_fits():
    with pytest.raises(torch.OutOfMemoryError, match=r"8 pictures at a time do not fit.*largest_batch finds"):
        predict(Glutton(most=7), torch.zeros(8, 1, 2, 2), batch_size=8)


# sliding windows


@given(
    size=st.tuples(SIDES, SIDES),
    window=st.tuples(SIDES, SIDES),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    value=st.floats(-1e6, 1e6, width=32),
    blend=st.sampled_from(["tent", "flat"]),
    batch=st.integers(1, 9),
)
def test_a_constant_field_comes_back_exactly(size, window, share, value, blend, batch):
    stride = tuple(1 + int(part * (side - 1)) for part, side in zip(share, window, strict=True))
    field = torch.full((2, *size), value)
    assert torch.equal(sliding_window(lambda x: x, field, window, stride, blend, batch), field)


@given(size=st.tuples(SIDES, SIDES), window=SIDES, seed=st.integers(0, 99), blend=st.sampled_from(["tent", "flat"]))
def test_what_looks_at_single_pixels_answers_as_on_the_whole_picture(size, window, seed, blend):
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(seed))

    def darkest_and_sum(x):
        return torch.stack([x.amin(dim=1), x.sum(dim=1)], dim=1)

    assert torch.allclose(
        sliding_window(darkest_and_sum, picture, window, blend=blend), darkest_and_sum(picture[None])[0], atol=1e-5
    )


@given(size=st.tuples(SIDES, SIDES), window=st.integers(1, 12), share=st.floats(0, 1))
def test_every_pixel_is_the_weighted_mean_of_its_windows(size, window, share):
    """Against the definition: each window's own number, weighted by a tent, over the sum of the weights."""
    stride = 1 + int(share * (window - 1))
    seen = []

    def number_them(x):
        seen.extend(x[:, :, 0, 0].tolist())  # row and column of the window's corner
        return torch.arange(len(seen) - len(x), len(seen), dtype=torch.float64)[:, None]

    height, width = (max(side, window) for side in size)
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).float()
    found = sliding_window(number_them, places, window, stride)[0]
    rise = torch.minimum(torch.arange(1, window + 1), torch.arange(window, 0, -1)).double()
    top, bottom = torch.zeros(height, width).double(), torch.zeros(height, width).double()
    for number, (row, column) in enumerate(seen):
        area = slice(int(row), int(row) + window), slice(int(column), int(column) + window)
        top[area] += number * rise[:, None] * rise
        bottom[area] += rise[:, None] * rise
    assert bottom.min() > 0
    assert torch.allclose(found.double(), top / bottom, atol=1e-4)


def test_a_tent_hides_the_edges_that_flat_weights_show():
    """Windows that disagree by 1: the largest step between neighbouring pixels."""

    def half_and_half(x):
        return (x.mean(dim=(1, 2, 3)) > 0.5).float()[:, None]

    picture = torch.zeros(1, 32, 64)
    picture[:, :, 32:] = 1
    steps = {
        blend: sliding_window(half_and_half, picture, window=16, blend=blend).diff(dim=-1).abs().max().item()
        for blend in ("tent", "flat")
    }
    assert steps["flat"] == 0.5 and steps["tent"] < 0.13  # 1/8: a ramp of 8 pixels from 0 to 1


def test_a_model_is_asked_through_predict():
    model = create("vit_digits_patch2_8", seed=0).eval()
    sheet = digits()[1].images[:12].reshape(3, 4, 8, 8).permute(0, 2, 1, 3).reshape(1, 24, 32)  # 3 rows of 4 digits
    found = sliding_window(model, sheet, window=8, stride=8, batch_size=5)
    assert found.shape == (10, 24, 32)
    assert torch.allclose(found[:, 4::8, 4::8].flatten(1).T, predict(model, digits()[1].images[:12]), atol=1e-5)


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": torch.zeros(8, 8)}, r"picture has shape \(8, 8\): expected three axes, \(C, H, W\)"),
        ({"picture": torch.zeros(1, 0, 8)}, "with pixels"),
        ({"stride": 5}, "stride is 5×5: more than the window, 4×4, leaves pixels that none covers"),
        ({"stride": (1, 5)}, "stride is 1×5"),
        ({"stride": 0}, "stride is 0: expected at least 1"),
        ({"window": (4, 4, 4)}, r"window is \(4, 4, 4\): expected pixels, such as 16, or \(height, width\)"),
        ({"window": 4.0}, r"window is 4.0 \(float\): expected a whole number"),
        ({"blend": "gauss"}, "blend is 'gauss': expected one of 'tent', 'flat'"),
        ({"model": lambda x: x[:, :, :2]}, r"answers \(9, 1, 2, 4\) to 9 windows: expected \(9, K, 4, 4\), a map each"),
        ({"model": lambda x: x[:1]}, r"answers \(1, 1, 4, 4\) to 9 windows"),
    ],
)
def test_sliding_window_says_what_is_wrong(change, message):
    call = {"model": lambda x: x, "picture": torch.zeros(1, 8, 8), "window": 4}
    with pytest.raises((TypeError, ValueError), match=message):
        sliding_window(**call | change)


class Record(nn.Module):
    """It answers as models of other libraries do."""

    def forward(self, images):
        return {"logits": images.flatten(1)}


@pytest.mark.usefixtures("as_a_learner")
def test_answers_that_are_no_logits_are_named():
    images = torch.zeros(2, 1, 8, 8)
    with pytest.raises(TypeError, match=r"the Record answers with a dict: expected a tensor of logits"):
        predict(Record(), images)
    features = create("vit_digits_patch2_8", num_classes=0)
    assert predict(features, images).shape == (2, 48)
    for more in ({"top": 1}, {"probabilities": True}):
        with pytest.raises(ValueError, match="has no classifier, and answers with features"):
            predict(features, images, **more)


# the largest batch that fits


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


def test_a_fitted_batch_goes_through_predict():
    pictures = Pictures(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), torch.zeros(40).long(), ("dot",))
    model = create("vit_digits_patch2_8")
    batch = largest_batch(model, pictures.images[0], memory=1_000_000)
    assert predict(model, pictures.images, batch).shape == (40, 10)
