"""The embedding explorer: every control over its range, what it says, and what is left without a kernel."""

import base64
import html
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib.data.samples import PICTURES, picture
from vitlib.widgets.embedding import FILTERS, LONGEST_SIDE, PATCHES, embedding_explorer, widths
from vitlib.widgets.embedding_view import SHOWN, EmbeddingView
from vitlib.widgets.filters import orthonormal_filters


def words(explorer):
    """The words beside the picture, without their markup."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", explorer.words.value)).split())


def images(markup):
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'src="data:image/png;base64,([^"]+)"', markup)
    ]


@pytest.fixture
def explorer():
    return embedding_explorer()


# every control over its range


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("patch", PATCHES)
def test_every_patch_filter_and_d_shows_what_its_tokens_keep(explorer, patch, filters):
    explorer.patch.value, explorer.filters.value = patch, filters
    assert list(explorer.d.options) == widths(patch)
    kept = []
    for d in widths(patch):
        explorer.d.value = d
        kept.append(explorer.view.kept)
        assert explorer.view.tokens.shape == (explorer.token.max, d)
        assert explorer.sentence in words(explorer)
        assert f"{100 * kept[-1]:.1f} % of the variation kept" in words(explorer)
        assert len(images(explorer.row.value)) == 2 + min(d, SHOWN)
    assert kept == sorted(kept)
    assert kept[-1] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_opens_and_is_whole_again_once_nothing_is_left_out(name):
    explorer = embedding_explorer("digits", d=192)
    explorer.choice.value = name
    shown, rebuilt = images(explorer.canvas.value)
    assert max(shown.shape) <= LONGEST_SIDE and shown.shape[0] % 8 == shown.shape[1] % 8 == 0
    assert np.array_equal(shown, rebuilt)
    assert explorer.token.max == shown.shape[0] // 8 * shown.shape[1] // 8


def test_another_patch_keeps_d_where_it_can(explorer):
    explorer.d.value = 192
    explorer.patch.value = 16
    assert explorer.d.value == explorer.view.d == 192
    explorer.patch.value = 4
    assert explorer.d.value == explorer.view.d == 48
    explorer.patch.value = 8
    assert explorer.d.value == explorer.view.d == 48


def test_every_patch_can_be_followed(explorer):
    for token in range(1, explorer.token.max + 1, 7):
        explorer.token.value = token
        here, there = images(explorer.row.value)[:2]
        assert np.array_equal(here, explorer.view.patches[token - 1].reshape(3, 8, 8).permute(1, 2, 0).mul(255).round())
        assert f"Patch {token} of {explorer.token.max}" in explorer.row.value
        assert here.shape == there.shape


def test_a_followed_patch_beyond_the_last_becomes_the_last(explorer):
    explorer.token.value = explorer.token.max
    explorer.choice.value = "digits"
    assert explorer.token.value == explorer.token.max == 100


def test_another_patch_side_follows_the_same_place(explorer):
    explorer.token.value = 4 * explorer.view.grid.columns + 7  # pixel row 32, pixel column 48
    explorer.patch.value = 16
    assert divmod(explorer.token.value - 1, explorer.view.grid.columns) == (2, 3)
    explorer.patch.value = 4
    assert divmod(explorer.token.value - 1, explorer.view.grid.columns) == (8, 12)
    explorer.token.value = explorer.token.max
    explorer.patch.value = 16
    assert explorer.token.value == explorer.token.max


def test_the_followed_patch_is_marked_where_it_lies(explorer):
    columns = explorer.view.grid.columns
    explorer.token.value = columns + 3  # second row, third column
    assert explorer.canvas.value.count('rect x="16" y="8" width="8" height="8"') == 4  # two colours, two pictures


# what it says, and whether that is so


def test_the_row_shows_the_numbers_of_the_token_above_their_filters(explorer):
    explorer.d.value = 3
    numbers = re.findall(r"<figure>([+−][\d.]+)<", explorer.row.value)
    token = explorer.view.tokens[explorer.token.value - 1]
    assert numbers == [f"{number:+.2f}".replace("-", "−") for number in token.tolist()]
    assert "all 3 numbers of its token" in explorer.row.value and "…" not in explorer.row.value
    explorer.d.value = 12
    assert "the first 10 of 12 numbers of its token" in explorer.row.value and "…" in explorer.row.value


def test_pca_keeps_far_more_than_chance():
    cat = picture("chelsea")
    pca, chance = (EmbeddingView(cat, 8, kind, 8) for kind in FILTERS)
    assert pca.kept > 0.9 > 0.2 > chance.kept
    assert pca.error < chance.error


def test_tokens_and_the_way_back_are_the_formulas_of_the_chapter():
    view = EmbeddingView(picture("astronaut"), 8, "PCA", 24)
    bias = -view.basis @ view.mean
    torch.testing.assert_close(view.tokens, view.patches @ view.basis.T + bias, atol=1e-4, rtol=1e-4)
    lost = (view.patches - view.rebuilt_patches).square().sum() / (view.patches - view.mean).square().sum()
    assert view.kept == pytest.approx(1 - lost.item(), abs=1e-6)


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("patch", PATCHES)
def test_filters_have_length_one_and_stand_at_right_angles(kind, patch):
    _, filters = orthonormal_filters(kind, patch)
    assert torch.allclose(filters @ filters.T, torch.eye(3 * patch**2), atol=1e-4)
    assert (filters.gather(1, filters.abs().argmax(1, keepdim=True)) > 0).all()


# the edges


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "chelsey"}, "did you mean 'chelsea'?"),
        ({"patch": 5}, "patch is 5: expected one of 4, 8, 16"),
        ({"filters": "sharp"}, "filters is 'sharp': expected one of 'PCA', 'random'"),
        ({"patch": 4, "d": 64}, "d is 64: expected one of 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48"),
    ],
)
def test_it_cannot_be_opened_on_what_it_does_not_offer(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        embedding_explorer(**arguments)


def test_a_picture_by_its_path_stays_to_be_chosen(tmp_path):
    path = tmp_path / "mine.png"
    Image.new("RGB", (70, 50), (200, 30, 30)).save(path)
    explorer = embedding_explorer(str(path))
    assert explorer.view.grid.tokens == 6 * 8
    explorer.choice.value = "coffee"
    explorer.choice.value = str(path)
    assert explorer.view.grid.tokens == 6 * 8
