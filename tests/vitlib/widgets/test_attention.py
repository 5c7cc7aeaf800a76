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
from vitlib.vit.attention_maps import attention_maps, rollout
from vitlib.vit.model import ViT
from vitlib.vit.patches import PatchGrid
from vitlib.widgets.attention import AttentionExplorer, attention_explorer
from vitlib.widgets.attention_view import Look, look, middle, sentence


@pytest.fixture(scope="module")
def model() -> ViT:
    return create("vit_cifar_patch4_32", seed=0)


@pytest.fixture
def explorer(model: ViT) -> AttentionExplorer:
    return attention_explorer("chelsea", model)


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
                explorer.canvas.query = query
                table = maps[0, layer].mean(dim=0) if head is None else maps[0, layer, head]
                assert explorer.canvas.shares == pytest.approx(table[query].tolist(), abs=1e-5)
                which = "mean of all heads" if head is None else f"head {head + 1}"
                assert words(explorer).startswith(f"Layer {layer + 1}, {which}: ")
        explorer.follow.value = True
        assert explorer.head.disabled
        assert explorer.canvas.shares == pytest.approx(rollout(maps[:, : layer + 1])[0, 64].tolist(), abs=1e-5)
        assert words(explorer).startswith("Rollout through layer")
        explorer.follow.value = False
        assert not explorer.head.disabled


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_shown_as_the_model_gets_it(name: str, explorer: AttentionExplorer) -> None:
    explorer.choice.value = name
    shown = Image.open(io.BytesIO(base64.b64decode(explorer.canvas.picture.split(",")[1])))
    pixels = middle(picture(name), (32, 32)).permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(shown)[5::10, 5::10], pixels)  # each pixel is a square of 10
    assert sum(explorer.canvas.shares) == pytest.approx(1, abs=1e-5)


def test_a_click_changes_shares_and_words_together(explorer: AttentionExplorer) -> None:
    before = explorer.canvas.shares
    explorer.canvas.query = 12  # what the browser sends
    assert explorer.canvas.shares != before
    assert "patch 12 (row 2, column 4) takes most" in words(explorer) == explorer.canvas.words == explorer.sentence


def test_a_picture_by_its_path(tmp_path, model: ViT) -> None:
    path = tmp_path / "mine.png"
    Image.new("RGB", (70, 50), "red").save(path)
    explorer = attention_explorer(str(path), model)
    assert explorer.choice.options[0] == str(path)
    assert torch.equal(explorer.seen.pixels.unique(), torch.tensor([0, 255], dtype=torch.uint8))


# what it says


def test_one_row_in_words() -> None:
    seen = Look(torch.zeros(3, 8, 8, dtype=torch.uint8), PatchGrid(8, 8, 2), torch.zeros(3, 4, 17, 17))
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


@pytest.mark.parametrize("patch", [0, 28])
def test_without_a_kernel_a_picture_and_a_sentence_take_its_place(patch: int, model: ViT) -> None:
    explorer = attention_explorer("chelsea", model, patch=patch)
    data, metadata = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == metadata["image/png"]["alt"] == explorer.sentence
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 600


def test_every_control_is_named(explorer: AttentionExplorer) -> None:
    assert all(control.description for control in (explorer.choice, explorer.layer, explorer.head, explorer.follow))
