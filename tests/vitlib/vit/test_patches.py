"""Patches: the numbers of the book, the exact round trip, and a clear line for every bad size."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vitlib.vit.fit_to_patch import FIT_CHOICES, fit_to_patch
from vitlib.vit.patches import PatchGrid, patchify, unpatchify

sides = st.integers(1, 6)
counts = st.integers(1, 5)
dtypes = st.sampled_from([torch.uint8, torch.int64, torch.float16, torch.float32, torch.bool])


def numbered(*shape: int) -> torch.Tensor:
    """Images in which every pixel is another number."""
    return torch.arange(torch.Size(shape).numel()).reshape(shape)


# PatchGrid


@pytest.mark.parametrize(
    ("height", "width", "patch", "tokens"),
    [
        (224, 224, 16, 196),  # ViT-B/16
        (32, 32, 16, 4),
        (32, 32, 8, 16),  # "side 8" read as patches of 8 pixels
        (32, 32, 32 // 8, 64),  # "side 8" read as 8 patches a side
        (300, 451, 16, 18 * 28),
        (96, 64, (16, 8), 6 * 8),
        (5, 7, (5, 7), 1),
    ],
)
def test_the_books_numbers(height, width, patch, tokens):
    assert PatchGrid(height, width, patch).tokens == tokens


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_whole_patches_and_left_over_pixels_make_up_the_image(height, width, data):
    patch = data.draw(st.tuples(st.integers(1, height), st.integers(1, width)))
    grid = PatchGrid(height, width, patch)
    assert grid.rows * grid.patch_height + grid.leftover_rows == height
    assert grid.columns * grid.patch_width + grid.leftover_columns == width
    assert 0 <= grid.leftover_rows < grid.patch_height and 0 <= grid.leftover_columns < grid.patch_width
    assert grid.tokens * grid.patch_height * grid.patch_width + grid.leftover_pixels == height * width
    assert grid.divides == (grid.leftover_rows == grid.leftover_columns == 0)


def test_a_square_patch_may_be_given_by_one_side():
    one, two = PatchGrid(48, 32, 16), PatchGrid(48, 32, (16, 16))
    assert (one.patch_height, one.patch_width, one.tokens) == (two.patch_height, two.patch_width, two.tokens)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((224, 224, 0), ValueError, "patch is 0: expected at least 1"),
        ((224, 224, -16), ValueError, "patch is -16: expected at least 1"),
        ((0, 224, 16), ValueError, "image height is 0: expected at least 1"),
        ((224, -1, 16), ValueError, "image width is -1: expected at least 1"),
        ((224, 224, 1.5), TypeError, "patch is 1.5 (float): expected a whole number, such as 16"),
        ((224, 224, True), TypeError, "patch is True (bool): expected a whole number, such as 16"),
        ((224, 224, "16"), TypeError, "patch is '16' (str): expected a whole number, such as 16"),
        ((224.0, 224, 16), TypeError, "image height is 224.0 (float): expected a whole number, such as 16"),
        ((224, 224, None), TypeError, "patch is None (NoneType): expected a whole number, such as 16"),
        ((224, 224, (16, 0)), ValueError, "patch is 0: expected at least 1"),
        (
            (224, 224, (9,)),
            ValueError,
            "patch is (9,): expected one side, such as 16, or two, such as (16, 8)",
        ),
        (
            (8, 300, 16),
            ValueError,
            "patch 16 × 16 is larger than the image, 8 × 300 pixels (height × width); choose a smaller patch",
        ),
    ],
)
@pytest.mark.usefixtures("as_a_learner")
def test_a_bad_size_gets_one_clear_line(arguments, error, message):
    with pytest.raises(error) as raised:
        PatchGrid(*arguments)
    assert str(raised.value) == message


# patchify and unpatchify


@given(st.integers(1, 3), st.integers(1, 4), counts, counts, sides, sides, dtypes)
def test_round_trip_is_exact(batch, channels, rows, columns, patch_height, patch_width, dtype):
    grid = PatchGrid(rows * patch_height, columns * patch_width, (patch_height, patch_width))
    images = numbered(batch, channels, grid.height, grid.width).to(dtype)
    patches = patchify(images, grid.patch)
    assert patches.shape == (batch, grid.tokens, channels * patch_height * patch_width)
    assert patches.dtype == dtype
    assert torch.equal(unpatchify(patches, grid, channels), images)


@given(counts, counts, sides, sides, st.integers(1, 4), st.data())
def test_patch_k_is_row_by_row_and_flattened_channel_row_column(rows, columns, height, width, channels, data):
    images = numbered(2, channels, rows * height, columns * width)
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    cut = images[:, :, row * height : (row + 1) * height, column * width : (column + 1) * width]
    assert torch.equal(patchify(images, (height, width))[:, row * columns + column], cut.flatten(1))


@given(counts, counts, sides, sides, st.integers(1, 3), st.integers(1, 5))
def test_a_convolution_is_the_same_product(rows, columns, height, width, channels, dim):
    torch.manual_seed(0)
    images = torch.randn(2, channels, rows * height, columns * width, dtype=torch.float64)
    weight = torch.randn(dim, channels, height, width, dtype=torch.float64)
    tokens = F.conv2d(images, weight, stride=(height, width)).flatten(2).mT  # B D rows columns → B N D
    torch.testing.assert_close(patchify(images, (height, width)) @ weight.flatten(1).T, tokens)


def test_gradients_flow_through():
    images = torch.randn(1, 3, 4, 4, requires_grad=True)
    patchify(images, 2)[0, 3].sum().backward()  # the patch at the bottom right
    expected = torch.zeros(1, 3, 4, 4)
    expected[:, :, 2:, 2:] = 1
    assert torch.equal(images.grad, expected)


@pytest.mark.parametrize(
    ("shape", "patch", "message"),
    [
        (
            (1, 3, 304, 451),
            16,
            "image is 451 wide: not a multiple of patch 16; crop to 448 or pad to 464 (fit_to_patch does either)",
        ),
        (
            (1, 3, 300, 451),
            (16, 8),
            "image is 300 high: not a multiple of patch 16; crop to 288 or pad to 304, and "
            "451 wide: not a multiple of patch 8; crop to 448 or pad to 456 (fit_to_patch does either)",
        ),
        (
            (3, 224, 224),
            16,
            "images have shape (3, 224, 224): expected four axes, (B, C, H, W); add the batch axis with images[None]",
        ),
        ((224, 224), 16, "images have shape (224, 224): expected four axes, (B, C, H, W)"),
    ],
)
@pytest.mark.usefixtures("as_a_learner")
def test_patchify_refuses_in_one_clear_line(shape, patch, message):
    with pytest.raises(ValueError) as raised:
        patchify(torch.zeros(shape), patch)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("shape", "grid", "channels", "message"),
    [
        ((1, 4, 12), PatchGrid(4, 4, 2), 1, r"expected \(B, 4, 4\), 2·2 patches of 1·2·2 numbers"),
        ((1, 5, 12), PatchGrid(4, 4, 2), 3, r"shape \(1, 5, 12\): expected \(B, 4, 12\)"),
        ((4, 12), PatchGrid(4, 4, 2), 3, r"shape \(4, 12\): expected \(B, 4, 12\)"),
        ((1, 4, 12), PatchGrid(5, 4, 2), 3, "image is 5 high: not a multiple of patch 2; crop to 4 or pad"),
        ((1, 4, 12), PatchGrid(4, 4, 2), 0, "channels is 0: expected at least 1"),
    ],
)
@pytest.mark.usefixtures("as_a_learner")
def test_unpatchify_refuses_in_one_clear_line(shape, grid, channels, message):
    with pytest.raises(ValueError, match=message):
        unpatchify(torch.zeros(shape), grid, channels)


# fit


@pytest.mark.parametrize("how", FIT_CHOICES)
@given(counts, counts, sides, sides)
def test_what_divides_is_left_alone(how, rows, columns, height, width):
    images = numbered(1, 2, rows * height, columns * width)
    assert torch.equal(fit_to_patch(images, (height, width), how), images)


@pytest.mark.parametrize("how", ["crop", "pad", "resize"])
@given(st.integers(6, 40), st.integers(6, 40), sides, sides, dtypes)
def test_after_fit_every_pixel_lies_in_a_patch(how, height, width, patch_height, patch_width, dtype):
    fitted = fit_to_patch(torch.ones(1, 3, height, width, dtype=dtype), (patch_height, patch_width), how)
    grid = PatchGrid(fitted.shape[2], fitted.shape[3], (patch_height, patch_width))
    assert grid.divides and fitted.dtype == dtype
    assert abs(grid.height - height) < patch_height and abs(grid.width - width) < patch_width


def test_crop_drops_the_bottom_and_the_right():
    images = numbered(1, 1, 5, 7)
    assert torch.equal(fit_to_patch(images, 2, "crop"), images[:, :, :4, :6])


def test_pad_adds_zeros_at_the_bottom_and_the_right():
    images = numbered(1, 1, 5, 7) + 1
    padded = fit_to_patch(images, 4, "pad")
    assert padded.shape == (1, 1, 8, 8)
    assert torch.equal(padded[:, :, :5, :7], images)
    assert padded[:, :, 5:].sum() == 0 and padded[:, :, :, 7:].sum() == 0


@pytest.mark.parametrize(
    ("size", "patch", "resized"), [(23, 16, 16), (24, 16, 32), (25, 16, 32), (3, 16, 16), (33, 16, 32)]
)
def test_resize_goes_to_the_nearest_multiple(size, patch, resized):
    assert fit_to_patch(torch.zeros(1, 1, size, 16), patch, "resize").shape == (1, 1, resized, 16)


def test_resize_keeps_bytes_as_bytes_and_what_is_constant_constant():
    grey = torch.full((1, 3, 50, 70), 200, dtype=torch.uint8)
    assert torch.equal(fit_to_patch(grey, 16, "resize"), torch.full((1, 3, 48, 64), 200, dtype=torch.uint8))


def test_a_small_image_can_be_padded_or_resized_to_one_patch():
    digit = torch.ones(1, 1, 8, 8)
    assert fit_to_patch(digit, 16, "pad").shape == fit_to_patch(digit, 16, "resize").shape == (1, 1, 16, 16)


@pytest.mark.parametrize(
    ("shape", "how", "message"),
    [
        ((1, 3, 300, 448), "refuse", "image is 300 high: not a multiple of patch 16; crop to 288 or pad"),
        ((1, 3, 8, 8), "crop", "patch 16 × 16 is larger than the image, 8 × 8 pixels"),
        ((1, 3, 32, 32), "stretch", "how is 'stretch': expected one of 'refuse', 'crop', 'pad', 'resize'"),
        ((3, 32, 32), "crop", "images have shape .3, 32, 32.: expected four axes"),
    ],
)
@pytest.mark.usefixtures("as_a_learner")
def test_fit_refuses_in_one_clear_line(shape, how, message):
    with pytest.raises(ValueError, match=message):
        fit_to_patch(torch.zeros(shape), 16, how)
