"""The grid explorer: every control over its range, uploads good and bad, and what is left without a kernel."""

import base64
import datetime
import html
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib.data.samples import PICTURES, picture
from vitlib.vit.fit_to_patch import fit_to_patch
from vitlib.vit.patches import PatchGrid, patchify
from vitlib.widgets import grid_explorer
from vitlib.widgets.grid import HOW
from vitlib.widgets.grid_view import GridView, canvas_html


def upload(explorer, name, content):
    """What the browser sends when a file is chosen."""
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    explorer.upload.value = ({**file, "last_modified": datetime.datetime(2025, 1, 1)},)


def png(height, width):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, format="PNG")
    return file.getvalue()


def words(explorer):
    """The words beside the picture, without their markup."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", explorer.words.value)).split())


def row(explorer):
    """The token row as it reads: numbers and ellipses."""
    return re.findall(r">(\d+|…)<", explorer.row.value.split("</p>")[1])


def numbers(explorer):
    return [int(number) for number in re.findall(r"<text[^>]*>(\d+)</text>", explorer.canvas.value)]


def images(markup):
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'src="data:image/\w+;base64,([^"]+)"', markup)
    ]


@pytest.fixture
def explorer():
    return grid_explorer()


# every control over its range


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_patch_and_way_gives_the_grid_that_a_model_gets(name):
    explorer = grid_explorer("digits", patch=7)
    explorer.choice.value = name
    for how in HOW:
        explorer.how.value = how
        for patch in {1, 16, explorer.patch_height.max}:
            explorer.patch_height.value = patch
            fitted = fit_to_patch(picture(name)[None], patch, how)
            grid = PatchGrid(fitted.shape[2], fitted.shape[3], patch)
            assert f"= {grid.tokens} {grid.tokens} patch tokens" in words(explorer)
            assert explorer.token.max == grid.tokens
            assert row(explorer)[-1] == str(grid.tokens)
            assert str(grid) in words(explorer) or how == "crop"
            assert numbers(explorer) in ([], list(range(1, grid.tokens + 1)))
            assert len(explorer.canvas.value) < 500_000  # characters: the page stays quick


def test_separate_sides_make_patches_that_are_not_square(explorer):
    explorer.square.value = False
    assert explorer.patch_width.layout.display is None
    assert explorer.patch_height.description == "Patch height"
    explorer.patch_height.value, explorer.patch_width.value = 128, 64
    assert "N = (512 / 128) · (512 / 64) = 4 · 8 = 32" in words(explorer)
    assert "24576 numbers in each, 128 · 64 · 3" in words(explorer)
    explorer.square.value = True
    assert explorer.patch_width.layout.display == "none"
    assert "N = (512 / 128) · (512 / 128) = 4 · 4 = 16" in words(explorer)


def test_a_followed_token_is_marked_in_the_picture_in_the_row_and_in_words(explorer):
    explorer.token.value = 20
    assert row(explorer) == ["1", "2", "3", "4", "5", "6", "7", "8", "…", "20", "…", "64"]
    assert '<figure class="vit-chosen">20<' in explorer.row.value
    assert 'rect x="192" y="128" width="64" height="64"' in explorer.canvas.value
    sentence = "Token 20 is the patch in row 3, column 4: pixel rows 128 to 191, pixel columns 192 to 255"
    assert sentence in words(explorer)


def test_a_followed_token_beyond_the_last_becomes_the_last(explorer):
    explorer.token.value = 64
    explorer.patch_height.value = 128
    assert explorer.token.value == 16
    assert '<figure class="vit-chosen">16<' in explorer.row.value


def test_a_smaller_picture_brings_the_patch_down_to_its_size(explorer):
    explorer.patch_height.value = 128
    explorer.choice.value = "digits"
    assert explorer.patch_height.value == 80
    assert "80 × 80 pixels in patches of 80 × 80: 1 row × 1 column = 1 patch token" in words(explorer)
    assert row(explorer) == ["1"]


def test_the_token_row_shows_the_very_patches():
    explorer = grid_explorer("digits", patch=8)
    patches = patchify(picture("digits")[None], 8)[0].reshape(-1, 3, 8, 8)
    shown = images(explorer.row.value)
    for token, image in zip([1, 2, 3, 4, 5, 6, 7, 8, 100], shown, strict=True):
        assert np.array_equal(image, patches[token - 1].permute(1, 2, 0).numpy())


def test_what_is_shown_under_the_grid_keeps_what_crop_drops_and_has_what_pad_adds():
    sheet = picture("digits")  # 80 × 80: small enough to be stored exactly
    for how, shown in (("crop", sheet), ("pad", fit_to_patch(sheet[None], 30, "pad")[0])):
        drawn = images(grid_explorer("digits", patch=30, how=how).canvas.value)[0]
        assert np.array_equal(drawn, shown.permute(1, 2, 0).numpy())


# what it says


@pytest.mark.parametrize(
    ("how", "tile", "sentence"),
    [
        (
            "crop",
            "20612 pixels left over",
            "300 × 451 pixels in patches of 64 × 64: 4 rows × 7 columns = 28 patch tokens, 44 pixel rows at the "
            "bottom and 3 pixel columns at the right left over. Cropping keeps 256 × 448 pixels.",
        ),
        (
            "pad",
            "28540 pixels of zeros added",
            "Padded with zeros from 300 × 451 to 320 × 512 pixels. 320 × 512 pixels in patches of 64 × 64: "
            "5 rows × 8 columns = 40 patch tokens, no pixel left over.",
        ),
        (
            "resize",
            "0 pixels left over once resized",
            "Resized from 300 × 451 to 320 × 448 pixels. 320 × 448 pixels in patches of 64 × 64: "
            "5 rows × 7 columns = 35 patch tokens, no pixel left over.",
        ),
    ],
)
def test_it_says_in_words_what_becomes_of_the_rest(how, tile, sentence):
    explorer = grid_explorer("chelsea", how=how)
    assert explorer.sentence == sentence
    assert sentence in words(explorer) and tile in words(explorer)
    assert f'alt="{sentence}"' in explorer.canvas.value
    stripes = re.findall(r'fill="url\(#vit-(\w+)', explorer.canvas.value)
    assert stripes == ([how] if how != "resize" else [])


def test_rounded_down_where_pixels_are_left_over():
    assert "N = ⌊300 / 16⌋ · ⌊451 / 16⌋ = 18 · 28 = 504" in words(grid_explorer("chelsea", patch=16))
    assert "N = (400 / 50) · (600 / 50) = 8 · 12 = 96" in words(grid_explorer("coffee", patch=50))


def test_what_is_too_small_to_draw_is_left_out_and_it_says_so(explorer):
    assert numbers(explorer) == list(range(1, 65)) and "too small" not in words(explorer)
    explorer.patch_height.value = 16
    assert numbers(explorer) == [] and "The patches are too small for their numbers." in words(explorer)
    assert "<path" in explorer.canvas.value
    explorer.patch_height.value = 2
    assert "<path" not in explorer.canvas.value
    assert "The patches are too small to draw: no lines, no numbers." in words(explorer)


@pytest.mark.parametrize("patch", [(1, 1), (1, 7), (7, 1), (64, 64), (5, 9)])
def test_numbers_never_outgrow_their_patch(patch):
    view = GridView(torch.zeros(3, 64, 64, dtype=torch.uint8), patch, "crop")
    if view.number_size:
        digits = len(str(view.tokens))
        assert 0.6 * digits * view.number_size < view.scale * patch[1]
        assert view.number_size < view.scale * patch[0]
    assert canvas_html(view, 1).count("<text") == (view.tokens if view.number_size else 0)


# the edges


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "astronout"}, "did you mean 'astronaut'?"),
        ({"patch": 0}, "patch is 0: expected 1 to 128 pixels for the picture 'astronaut'"),
        ({"name": "digits", "patch": 81}, "patch is 81: expected 1 to 80 pixels for the picture 'digits'"),
        ({"how": "refuse"}, "how is 'refuse': expected one of 'crop', 'pad', 'resize'"),
    ],
)
def test_it_cannot_be_opened_on_what_it_does_not_offer(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        grid_explorer(**arguments)
