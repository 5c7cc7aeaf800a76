"""The attention explorer: every control over its range, the shares that it shows, and what is left without a kernel."""

import base64
import html
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib import create
from vitlib.data.pictures import normalise
from vitlib.data.samples import PICTURES, picture
from vitlib.trained import card
from vitlib.vit.attention_maps import attention_maps, rollout
from vitlib.vit.model import ViT
from vitlib.vit.patches import PatchGrid
from vitlib.widgets.attention import COVERS, AttentionExplorer, attention_explorer
from vitlib.widgets.attention_view import HEAT, Look, look, middle, sentence
from vitlib.widgets.opened import opened


@pytest.fixture(scope="module")
def model() -> ViT:
    return create("vit_cifar_patch4_32", seed=0)


@pytest.fixture
def explorer(model: ViT) -> AttentionExplorer:
    return attention_explorer("chelsea", model)


def click(explorer: AttentionExplorer, panel: int, token: int) -> None:
    """What the browser sends."""
    explorer.canvas._handle_custom_msg({"panel": panel, "token": token}, None)


def press(explorer: AttentionExplorer, key: str) -> None:
    explorer.canvas._handle_custom_msg({"key": key, "token": explorer.canvas.chosen}, None)


def pictures(explorer: AttentionExplorer) -> list[np.ndarray]:
    """The picture, the heat map and the picture in grey."""
    found = re.findall(r'"data:image/png;base64,([^"]+)"', explorer.canvas.html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")) for data in found]


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())


def words(explorer: AttentionExplorer) -> str:
    return html.unescape(re.sub("<[^>]+>", "", explorer.words.value))


# every control over its range


def test_every_layer_head_and_rollout_shows_its_own_row_of_the_maps(explorer: AttentionExplorer, model: ViT) -> None:
    pixels = middle(picture("chelsea"), (32, 32))
    with torch.no_grad():
        _, maps = attention_maps(model, normalise(pixels[None], model.config.mean, model.config.std))
    for layer in range(6):
        explorer.layer.value = layer + 1
        for head in (0, 1, 2, None):
            explorer.head.value = head
            for query in (0, 1, 37, 64):
                explorer.canvas.chosen = query
                table = maps[0, layer].mean(dim=0) if head is None else maps[0, layer, head]
                assert explorer.weights.tolist() == pytest.approx(table[query].tolist(), abs=1e-5)
                which = "mean of all heads" if head is None else f"head {head + 1}"
                assert words(explorer).startswith(f"Layer {layer + 1}, {which}: ")
        explorer.follow.value = True
        assert explorer.head.disabled
        assert explorer.weights.tolist() == pytest.approx(rollout(maps[:, : layer + 1])[0, 64].tolist(), abs=1e-5)
        assert words(explorer).startswith("Rollout through layer")
        explorer.follow.value = False
        assert not explorer.head.disabled


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_shown_as_the_model_gets_it(name: str, explorer: AttentionExplorer) -> None:
    explorer.choice.value = name
    assert np.array_equal(pictures(explorer)[0], middle(picture(name), (32, 32)).permute(1, 2, 0).numpy())
    assert sum(explorer.weights.tolist()) == pytest.approx(1, abs=1e-5)


def test_a_click_changes_shares_and_words_together(explorer: AttentionExplorer) -> None:
    before = explorer.weights.tolist()
    click(explorer, 0, 12)
    assert explorer.weights.tolist() != before
    assert "patch 12 (row 2, column 4) takes most" in words(explorer) == explorer.canvas.words == explorer.sentence


def test_a_picture_by_its_path(tmp_path, model: ViT) -> None:
    path = tmp_path / "mine.png"
    Image.new("RGB", (70, 50), "red").save(path)
    explorer = attention_explorer(str(path), model)
    assert explorer.choice.options[0] == str(path)
    assert torch.equal(explorer.seen.pixels.unique(), torch.tensor([0, 255], dtype=torch.uint8))


def test_the_heat_map_is_that_of_the_weights(explorer: AttentionExplorer) -> None:
    click(explorer, 0, 12)
    (colours,) = [each for each in pictures(explorer) if each.shape == (8, 8, 3)]
    level = (explorer.weights[1:] / explorer.weights[1:].max()).reshape(8, 8).numpy()
    assert np.array_equal(colours, HEAT(level, bytes=True)[..., :3])
    assert f"0 % {explorer.weights[1:].max():.1%}" in text(explorer.canvas.html)


# one weight, opened


def test_a_weight_is_opened_by_click_and_by_slider(explorer: AttentionExplorer, model: ViT) -> None:
    """Every number on the way is that of the block's own attention, computed from what the block reads."""
    images = normalise(middle(picture("chelsea"), (32, 32))[None], model.config.mean, model.config.std)
    read = model(images, return_all=True)["blocks.3.norm1"].detach()
    q, k, v = model.blocks[3].attn.qkv(read).detach()[0].unflatten(1, (3, 3, 64)).permute(1, 2, 0, 3)[:, 1]
    explorer.layer.value, explorer.head.value = 4, 1
    click(explorer, 0, 20)
    click(explorer, 1, 33)
    assert explorer.key.value == 33
    dot = float(q[20] @ k[33])
    weights = (q[20] @ k.T / 8).softmax(dim=0)
    said = text(explorer.opened.value).replace("−", "-")
    assert f"q · k = {dot:.2f}" in said and f"the score {dot / 8:.2f}." in said
    assert f"the attention weight {weights[33]:.1%}" in said
    one = opened(explorer.seen, layer=3, head=1, query=20, key=33)
    torch.testing.assert_close(one.v, v[33])
    torch.testing.assert_close(one.output, weights @ v)
    explorer.key.value = 0
    assert f"key of CLS: q · k = {float(q[20] @ k[0]):.2f}" in text(explorer.opened.value).replace("−", "-")


def test_another_query_opens_its_weight_for_the_same_key(explorer: AttentionExplorer) -> None:
    click(explorer, 1, 5)
    before = explorer.opened.value
    click(explorer, 0, 40)
    assert "query of patch 40 (row 5, column 8) times the key of patch 5 " in text(explorer.opened.value) != before


def test_only_the_weight_of_a_single_head_can_be_opened(explorer: AttentionExplorer) -> None:
    explorer.head.value = None
    assert explorer.key.disabled and "Choose one head" in explorer.opened.value
    explorer.head.value = 2
    assert not explorer.key.disabled and "softmax" in explorer.opened.value
    explorer.follow.value = True
    assert explorer.key.disabled and "Choose one head" in explorer.opened.value


def test_registers_take_part_in_the_softmax_that_is_opened() -> None:
    seen = look(create("vit_cifar_patch4_32", seed=0, reg_tokens=4), picture("coffee"))
    one = opened(seen, layer=0, head=0, query=1, key=2)
    assert float(one.weights.sum()) < 1
    assert not torch.allclose(one.output, one.weights @ seen.qkv[2, 0, 0])


# covering patches


def test_a_covered_patch_changes_what_the_model_gets_and_says(explorer: AttentionExplorer, model: ViT) -> None:
    explorer.click.value = COVERS
    for patch in (28, 36):
        click(explorer, 0, patch)
    pixels = middle(picture("chelsea"), (32, 32))
    mean = (255 * torch.tensor(model.config.mean)).round().byte()[:, None, None]
    for row in (12, 16):
        pixels[:, row : row + 4, 12:16] = mean
    assert np.array_equal(pictures(explorer)[0], pixels.permute(1, 2, 0).numpy())
    logits = model(normalise(pixels[None], model.config.mean, model.config.std))[0].detach()
    torch.testing.assert_close(explorer.seen.logits, logits)
    assert "Covered: patches 28, 36. The logit of " in text(explorer.logits.value)
    change = logits - explorer._whole.logits
    assert f"{change[int(logits.argmax())]:+.1f}" in text(explorer.logits.value).replace("−", "-")
    click(explorer, 0, 36)
    assert explorer.seen.covered == {28}
    explorer.uncover.click()
    assert explorer.seen is explorer._whole and explorer.uncover.disabled
    assert "Covered" not in explorer.logits.value


def test_the_patch_that_asks_is_covered_by_keyboard(explorer: AttentionExplorer) -> None:
    for key, covered in ((" ", {27}), ("Enter", set())):
        press(explorer, key)
        assert explorer.seen.covered == covered
    explorer.canvas.chosen = 0
    press(explorer, " ")
    assert explorer.seen.covered == set()  # CLS has no pixels


def test_another_picture_begins_uncovered(explorer: AttentionExplorer) -> None:
    press(explorer, " ")
    explorer.choice.value = "coffee"
    assert explorer.seen.covered == set() and explorer.uncover.disabled


def test_the_trained_model_names_its_classes() -> None:
    explorer = attention_explorer()
    best = card("vit_cifar_patch4_32")["classes"][int(explorer.seen.logits.argmax())]
    press(explorer, " ")
    assert f"The logit of {best} goes from" in text(explorer.logits.value)


# what it says


def test_one_row_in_words() -> None:
    nothing = torch.zeros(3, 4, 17, 2)
    pixels, maps = torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(3, 4, 17, 17)
    seen = Look(pixels, PatchGrid(8, 8, 2), maps, nothing.expand(3, -1, -1, -1, -1), nothing, torch.zeros(10))
    table = torch.full((17, 17), 1 / 17)
    table[6] = torch.tensor([0.1, 0.05, 0.6, 0.2, 0.0, 0.0, 0.05, *[0.0] * 10])
    assert sentence(seen, table, 6, "Layer 1, head 2") == (
        "Layer 1, head 2: patch 6 (row 2, column 2) takes most, 60.0% from patch 2 (row 1, column 2), 20.0% from "
        "patch 3 (row 1, column 3), 10.0% from CLS. 1 of 17 tokens give half of all it takes; 5.0% comes from itself, "
        "10.0% from CLS."
    )
    assert sentence(seen, table, 0, "Layer 1").endswith("9 of 17 tokens give half of all it takes.")


@pytest.mark.parametrize("size", [(32, 32), (16, 40), (40, 16)])
def test_the_middle_of_a_picture_has_the_proportions_that_the_model_wants(size: tuple[int, int]) -> None:
    bars = torch.zeros(3, 60, 100, dtype=torch.uint8)
    bars[:, :, 50:] = 255
    small = middle(bars, size)
    assert small.shape == (3, *size)
    half = size[1] // 2
    assert small[:, :, : half - 3].max() == 0 and small[:, :, half + 3 :].min() == 255


def test_registers_are_left_out() -> None:
    seen = look(create("vit_cifar_patch4_32", seed=0, reg_tokens=4), picture("coffee"))
    assert seen.maps.shape == (6, 3, 65, 65) and seen.grid == PatchGrid(32, 32, 4)


# the edges


@pytest.mark.parametrize("patch", [-1, 65])
def test_a_patch_that_is_not_there_is_refused(patch: int, model: ViT) -> None:
    with pytest.raises(ValueError, match=rf"patch is {patch}: expected 0 \(CLS\) to 64"):
        attention_explorer("chelsea", model, patch=patch)


def test_a_model_without_cls_is_refused() -> None:
    with pytest.raises(ValueError, match="no CLS token"):
        attention_explorer("chelsea", create("vit_cifar_patch4_32", class_token=False, global_pool="avg"))
