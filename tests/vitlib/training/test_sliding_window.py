"""A picture of any size, answered in windows of the model's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitlib.data.datasets import digits
from vitlib.models import create
from vitlib.training.predict import predict, sliding_window

SIDES = st.integers(1, 40)  # pixels


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
        ({"window": (4, 4, 4)}, r"window is \(4, 4, 4\): expected one side, such as 16, or two"),
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
