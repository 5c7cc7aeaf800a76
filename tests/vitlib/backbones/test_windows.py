"""Windows: cut and joined, shifted, masked; and attention inside them, in two forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vitlib.backbones.biased_attention import attend_with_bias
from vitlib.backbones.windows import WindowAttention, Windows, relative_index
from vitlib.vit.attention import split_heads


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    window = draw(st.integers(1, 4))
    rows, columns = (window * draw(st.integers(1, 3)) for _ in range(2))
    return Windows(rows, columns, window, draw(st.integers(0, window - 1)))


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@given(windows())
def test_join_is_the_inverse_of_cut(w: Windows) -> None:
    x = random(2, w.rows * w.columns, 3)
    assert w.cut(x).shape == (2 * w.count, w.area, 3)
    assert torch.equal(w.join(w.cut(x)), x)


@given(windows())
def test_picking_by_order_is_cut(w: Windows) -> None:
    x = random(2, w.rows * w.columns, 3)
    assert torch.equal(x[:, w.order().flatten()].reshape(-1, w.area, 3), w.cut(x))


@given(windows())
def test_tokens_of_a_window_are_apart_where_the_way_between_them_leads_over_the_border(w: Windows) -> None:
    order, masked = w.order(), w.masked()
    row, column = order // w.columns, order % w.columns
    far = [(each[:, :, None] - each[:, None, :]).abs() >= w.window for each in (row, column)]
    # in a grid of one window everything is within reach, and only the shift itself separates
    if w.rows > w.window and w.columns > w.window:
        assert torch.equal(masked, far[0] | far[1])
    assert not masked.diagonal(dim1=1, dim2=2).any()
    assert w.shift or not masked.any()


def test_shifted_windows_of_a_small_grid_by_hand() -> None:
    w = Windows(rows=4, columns=4, window=2, shift=1)
    assert w.order().tolist() == [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]
    assert not w.masked()[0].any()  # neighbours all along
    assert w.masked()[1].int().tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    assert (~w.masked()[3]).sum() == 4  # four corners met: each sees itself alone


def test_the_relative_index_names_each_distance_once() -> None:
    index = relative_index(3)
    assert sorted(set(index.flatten().tolist())) == list(range(25))
    assert index.diagonal().tolist() == [12] * 9  # no distance, the middle of the table
    assert index[0, 1] == index[3, 4] == index[7, 8]  # one to the right, wherever
    assert torch.equal(index, 24 - index.T)  # the way back is the opposite distance


def attention(w: Windows, fused: bool | None = None) -> WindowAttention:
    made = WindowAttention(embed_dim=8, num_heads=2, windows=w, fused=fused).double()
    for parameter in made.parameters():
        parameter.data = random(*parameter.shape)
    return made


@settings(max_examples=30)
@given(windows(), st.sampled_from([False, True, None]))
def test_cutting_is_attention_over_the_grid_where_other_windows_are_hidden(w: Windows, fused: bool | None) -> None:
    made, x = attention(w, fused), random(2, w.rows * w.columns, 8)
    _, _, v = split_heads(made.qkv(x), made.heads, parts=3)
    expected = made.proj((made.weights(x) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(made(x), expected)


@given(windows())
def test_maps_are_zero_outside_the_window_and_sum_to_one(w: Windows) -> None:
    maps = attention(w).weights(random(1, w.rows * w.columns, 8))
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones_like(maps[..., 0]))
    assert ((maps > 0).sum(dim=-1) <= w.area).all()


@pytest.mark.parametrize("biases", [1, 3])
@pytest.mark.parametrize("heads", [1, 2])
def test_the_formula_and_the_fused_kernel_agree_with_a_bias(biases: int, heads: int) -> None:
    q, k, v = (random(6, 2, 5, 4) for _ in range(3))
    bias = random(biases, heads, 5, 5).masked_fill(random(biases, heads, 5, 5) > 1, -torch.inf)
    torch.testing.assert_close(*(attend_with_bias(q, k, v, bias, fused) for fused in (True, False)))


def test_both_forms_give_the_bias_the_same_gradient() -> None:
    w, x = Windows(4, 4, 2, 1), random(2, 16, 8)
    gradients = []
    for fused in (True, False):
        made = attention(w, fused)
        made(x).square().sum().backward()
        gradients.append(made.relative_position_bias_table.grad)
    torch.testing.assert_close(*gradients)


def test_rows_are_those_rows() -> None:
    made, x = attention(Windows(4, 4, 2, 1)), random(1, 16, 8)
    assert torch.equal(made(x, slice(3, 5)), made(x)[:, 3:5])


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((4, 4, 5), "window is 5 tokens, and the grid has 4 × 4 tokens: choose 1 to 4"),
        ((4, 8, 0), "window is 0 tokens, and the grid has 4 × 8 tokens: choose 1 to 4"),
        ((6, 12, 4), "6 × 12 tokens is no multiple of window 4; choose 1, 2, 3, 6, or"),
        ((6, 6, 3, 3), "shift is 3: expected 0 to 2, less than the window"),
        ((6, 6, 3, -1), "shift is -1: expected 0 to 2"),
    ],
)
def test_windows_that_do_not_fit_are_refused(numbers: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Windows(*numbers)


@st.composite
def padded(draw: st.DrawFn) -> Windows:
    sides = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shift = draw(st.integers(0, sides[0] - 1)), draw(st.integers(0, sides[1] - 1))
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return Windows(rows, columns, sides, shift, draw(st.sampled_from(["before", "after"])))


@given(padded())
def test_filled_windows_join_again_and_their_order_is_their_cut(w: Windows) -> None:
    x = random(2, w.rows * w.columns, 3)
    assert w.cut(x).shape == (2 * w.count, w.area, 3)
    assert torch.equal(w.join(w.cut(x)), x)
    filled = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
    assert torch.equal(filled[:, w.order().flatten()].reshape(-1, w.area, 3), w.cut(x))


@settings(max_examples=30)
@given(padded(), st.sampled_from([False, True]))
def test_filled_windows_attend_as_cutting_says(w: Windows, fused: bool) -> None:
    made, x = attention(w, fused), random(2, w.rows * w.columns, 8)
    q, k, v = split_heads(made.qkv(w.cut(x)), made.heads, parts=3)
    expected = w.join(made.proj(attend_with_bias(q, k, v, made.bias(), False).transpose(1, 2).flatten(2)))
    torch.testing.assert_close(made(x), expected)
    maps = made.weights(x)
    assert maps.shape[2:] == (x.shape[1], x.shape[1]) and (maps.sum(dim=-1) < 1 + 1e-9).all()


def test_a_smaller_window_reads_the_middle_of_the_table() -> None:
    assert torch.equal(relative_index((2, 3), table=3), relative_index(3).view(3, 3, 3, 3)[:2, :, :2].reshape(6, 6))
