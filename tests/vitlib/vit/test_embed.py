"""Patch embedding: the convolution and the formula are one map, and each token sees one patch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitlib.vit.embed import PatchEmbed

sides = st.integers(1, 4)


@settings(max_examples=30)
@given(sides, sides, sides, sides, sides, st.integers(1, 5), st.sampled_from([torch.float32, torch.float64]))
def test_convolution_and_formula_agree_in_values_and_gradients(
    rows: int, columns: int, height: int, width: int, channels: int, d: int, dtype: torch.dtype
) -> None:
    embed = PatchEmbed(channels, (height, width), d).to(dtype)
    images = torch.randn(2, channels, rows * height, columns * width, dtype=dtype, requires_grad=True)
    cotangent = torch.randn(2, rows * columns, d, dtype=dtype)
    inputs = [images, embed.proj.weight, embed.proj.bias]
    fast, formula = embed(images), embed.patch_by_patch(images)
    torch.testing.assert_close(fast, formula)
    torch.testing.assert_close(
        torch.autograd.grad(fast, inputs, cotangent), torch.autograd.grad(formula, inputs, cotangent)
    )


def test_a_token_is_the_dot_product_of_its_patch_with_each_filter() -> None:
    embed = PatchEmbed(in_chans=3, patch_size=4, embed_dim=2)
    images = torch.randn(1, 3, 8, 12)
    third_of_second_row = images[0, :, 4:8, 8:12]
    expected = [(third_of_second_row * filter).sum() for filter in embed.proj.weight]
    torch.testing.assert_close(embed(images)[0, 5], torch.stack(expected) + embed.proj.bias)


def test_a_pixel_changes_one_token_only() -> None:
    embed = PatchEmbed(in_chans=1, patch_size=2, embed_dim=4)
    before = torch.zeros(1, 1, 4, 6)
    after = before.clone()
    after[0, 0, 3, 1] = 1.0  # second row of patches, first column: patch 3
    changed = (embed(before) != embed(after)).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize(
    ("patch", "height", "width", "words"),
    [
        (16, 304, 451, "451 wide: not a multiple of patch 16; crop to 448 or pad to 464"),
        ((4, 2), 6, 4, "6 high: not a multiple of patch 4"),
        ((2, 4), 4, 6, "6 wide: not a multiple of patch 4"),
    ],
)
def test_left_over_pixels_are_refused_and_not_dropped(
    patch: int | tuple[int, int], height: int, width: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        PatchEmbed(3, patch, 8)(torch.zeros(1, 3, height, width))
