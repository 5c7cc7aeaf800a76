"""The position explorer: every order, pair and map, what it says, and what is left without a kernel."""

import base64
import html
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib import create
from vitlib.data.samples import PICTURES, picture
from vitlib.vit.patches import patchify
from vitlib.vit.sincos import sincos_1d
from vitlib.widgets.positions import ORDERS, position_explorer
from vitlib.widgets.positions_view import KINDS, cls_reads, order_of


@pytest.fixture(scope="module")
def model():
    """4 × 4 patches of 8 pixels, with positions as large as trained ones."""
    small = create("vit_cifar_patch4_32", patch_size=8, embed_dim=24, depth=2, num_heads=2, seed=0).eval()
    torch.nn.init.normal_(small.pos_embed, generator=torch.Generator().manual_seed(0))
    return small


@pytest.fixture
def explorer(model):
    return position_explorer("coffee", model, first=6, second=1)


def words(explorer):
    return html.unescape(re.sub("<[^>]+>", " ", explorer.words.value))


def panels(explorer):
    """The three pictures, and the marks drawn on each, as (x, y)."""
    found = []
    for panel in explorer.canvas.value.split("<figure")[1:]:
        source = re.search('src="data:image/png;base64,([^"]+)"', panel)[1]
        marks = re.findall(r'<rect x="(\d+)" y="(\d+)"', panel)[::2]  # each is drawn twice, black below
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
        found.append((image, [(int(x), int(y)) for x, y in marks]))
    return found


def test_it_opens_on_a_swap(explorer):
    assert explorer.sentence.startswith(
        "Two patches have changed places: patch 6 (row 2, column 2) and patch 1 (row 1, column 1). CLS's output moves"
    )
    assert explorer.sentence in words(explorer)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("order", ORDERS)
def test_in_any_order_cls_moves_with_positions_only(explorer, name, order):
    explorer.choice.value, explorer.order.value = name, order
    with_positions, without = explorer.arrangement.moved
    assert without < 1e-5
    assert (with_positions > 1e-3) == (order != "as it is")
    assert f"by {with_positions:.1%} with positions, and by 0.0% without" in words(explorer)
    assert sorted(explorer.arrangement.order.tolist()) == list(range(16))


def test_every_patch_can_be_swapped_with_every_other(explorer):
    for first in range(1, 17):
        explorer.first.value = first
        for second in range(1, 17):
            explorer.second.value = second
            (before, marked), (after, moved), (_, mapped) = panels(explorer)
            places = [((patch - 1) % 4 * 8, (patch - 1) // 4 * 8) for patch in (first, second)]
            assert marked == places and moved == places[::-1] and mapped == places[:1]
            (x, y), (u, v) = places
            assert np.array_equal(after[v : v + 8, u : u + 8], before[y : y + 8, x : x + 8])
            assert np.array_equal(after[y : y + 8, x : x + 8], before[v : v + 8, u : u + 8])


def test_a_shuffle_shows_the_same_patches_in_other_places(explorer):
    explorer.order.value = "shuffle all"
    (before, _), (after, _), _ = panels(explorer)
    rows = [patchify(torch.from_numpy(image.copy()).permute(2, 0, 1)[None], 8)[0] for image in (before, after)]
    assert torch.equal(rows[1], rows[0][explorer.arrangement.order])
    assert "patches lie elsewhere" in words(explorer)
    assert explorer.second.disabled


def test_a_patch_swapped_with_itself_moves_nothing(explorer):
    explorer.second.value = explorer.first.value
    assert "Every patch lies where it belongs" in words(explorer)
    assert explorer.arrangement.moved == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_is_the_cosine_with_every_position(explorer, kind):
    explorer.kind.value = kind
    table = explorer.arrangement.tables[kind]
    for patch in (1, 6, 16):
        explorer.first.value = patch
        expected = torch.cosine_similarity(table, table[patch - 1 : patch])
        torch.testing.assert_close(explorer.arrangement.similarity(kind), expected)
        drawn = panels(explorer)[2][0]
        brightest = np.unravel_index(drawn.astype(int).sum(axis=2).argmax(), (4, 4))
        assert brightest == divmod(patch - 1, 4)
        assert f"The {kind} position of patch {patch} " in words(explorer)


def test_it_names_the_most_alike_and_the_waves_are_the_librarys(explorer, model):
    explorer.kind.value = "sin-cos 1D"
    assert explorer.sentence.endswith("is most like those of patches 4, 5, 7, 8.")
    assert torch.equal(explorer.arrangement.tables["sin-cos 1D"], sincos_1d(16, 24)[0])
    assert torch.equal(explorer.arrangement.tables["learned"], model.pos_embed[0, 1:])


def test_what_cls_reads_is_what_the_head_reads(model):
    pixels = picture("digits")[:, :32, :32]
    images = pixels[None] / 255 * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(cls_reads(model, pixels)[0], model(images, return_all=True)["pooled"][0])
        blind = create("vit_cifar_patch4_32", patch_size=8, embed_dim=24, depth=2, num_heads=2, positions="none").eval()
        blind.load_state_dict({name: value for name, value in model.state_dict().items() if name != "pos_embed"})
        torch.testing.assert_close(cls_reads(model, pixels)[1], blind(images, return_all=True)["pooled"][0])


def test_the_shuffle_leaves_no_row_together():
    order = order_of("shuffle all", 64, 1, 1)
    assert (order[1:] - order[:-1] == 1).sum() < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cofee"}, "did you mean 'coffee'?"),
        ({"order": "sorted"}, "order is 'sorted': expected one of 'as it is', 'swap two', 'shuffle all'"),
        ({"first": 0}, "first is 0: expected 1 to 16"),
        ({"second": 17}, "second is 17: expected 1 to 16"),
    ],
)
def test_it_cannot_be_opened_on_what_it_does_not_offer(model, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        position_explorer(**{"model": model, "first": 6, "second": 1} | arguments)


@pytest.mark.parametrize("changes", [{"positions": "none"}, {"class_token": False, "global_pool": "avg"}])
def test_it_needs_cls_and_learned_positions(changes):
    with pytest.raises(ValueError, match="the explorer shows CLS and learned positions"):
        position_explorer(model=create("vit_cifar_patch4_32", depth=1, embed_dim=12, **changes))
