"""The pipeline: every stage, patch and picture, what it says of them, and what is left without a kernel."""

import base64
import datetime
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
from vitlib.vit.patches import patchify
from vitlib.widgets.attention_view import middle
from vitlib.widgets.pictures import SIGNED
from vitlib.widgets.pipeline import Pipeline, pipeline
from vitlib.widgets.pipeline_view import PAGES
from vitlib.widgets.walk import STAGES, shape, walk

MODEL = create("vit_cifar_patch4_32", seed=0, depth=2)
SHAPES = ["[64, 48]", "[64, 192]", "[65, 192]", "[65, 192]", "[10]"]


@pytest.fixture(scope="module")
def shared() -> Pipeline:
    return pipeline("chelsea", MODEL)


@pytest.fixture
def widget(shared: Pipeline) -> Pipeline:
    shared.choice.value, shared.stage.value, shared.patch.value = "chelsea", 1, 27
    return shared


def pictures(markup: str) -> list[Image.Image]:
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', markup)
    return [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())


def test_every_stage_shows_the_models_own_tensors(widget: Pipeline) -> None:
    images = normalise(middle(picture("chelsea"), (32, 32))[None], MODEL.config.mean, MODEL.config.std)
    steps = MODEL(images, return_all=True)
    expected = [patchify(images, 4), steps["patch_embed"], steps["tokens"], steps["blocks.1.+mlp"], steps["pooled"]]
    for stage, tensor in enumerate(expected, start=1):
        torch.testing.assert_close(widget.view.rows(stage), tensor.flatten(0, -2))
    torch.testing.assert_close(widget.view.shares, MODEL(images)[0].softmax(dim=0))


@pytest.mark.parametrize("stage", range(1, 6))
def test_every_patch_is_followed_through_every_stage(widget: Pipeline, stage: int) -> None:
    widget.stage.value = stage
    assert widget.patch.disabled is (stage == 5)
    for patch in range(1, 65):
        widget.patch.value = patch
        said = text(widget.words.value)
        assert said.startswith(widget.sentence) and SHAPES[stage - 1] in widget.sentence
        if stage < 5:
            row = patch - 1 + (stage > 2)
            assert f"Patch {patch}, in row {(patch - 1) // 8 + 1} and column {(patch - 1) % 8 + 1}" in said
            assert f"is row {row} of the table" in said
            strip = np.asarray(pictures(widget.panel.value)[-1])
            assert strip.shape == (1, widget.view.rows(stage).shape[1], 3)
            assert widget.panel.value.count(f'<rect x="0" y="{patch - 1}"') == 2 * (3 if stage == 4 else 1)


def test_the_table_is_drawn_number_by_number(widget: Pipeline) -> None:
    widget.stage.value = 2
    drawn = np.asarray(pictures(widget.panel.value)[0])
    rows = widget.view.rows(2)
    assert drawn.shape == (64, 192, 3)
    below, above = SIGNED(0.0, bytes=True)[:3], SIGNED(1.0, bytes=True)[:3]
    assert tuple(drawn.reshape(-1, 3)[int(rows.argmin())]) == below
    assert tuple(drawn.reshape(-1, 3)[int(rows.argmax())]) == above


def test_cls_stands_apart_from_the_patches(widget: Pipeline) -> None:
    widget.stage.value = 3
    assert [image.size for image in pictures(widget.panel.value)[:2]] == [(192, 1), (192, 64)]


def test_the_encoder_is_shown_block_by_block(widget: Pipeline) -> None:
    widget.stage.value = 4
    tables = [image for image in pictures(widget.panel.value) if image.size == (192, 64)]
    assert len(tables) == MODEL.config.depth + 1
    assert "before" in text(widget.panel.value)


def test_the_followed_patch_is_the_very_patch(widget: Pipeline) -> None:
    pixels = middle(picture("chelsea"), (32, 32))
    tile = np.asarray(pictures(widget.panel.value)[-2])
    assert np.array_equal(tile, pixels[:, 12:16, 8:12].permute(1, 2, 0).numpy())  # patch 27: row 4, column 3


@pytest.mark.parametrize("name", PICTURES)
def test_the_bars_are_the_models_shares_for_every_picture(widget: Pipeline, name: str) -> None:
    widget.stage.value, widget.choice.value = 5, name
    widths = [float(width) for width in re.findall(r"max\(2px, ([\d.]+)%\)", widget.panel.value)]
    torch.testing.assert_close(torch.tensor(widths) / 100, widget.view.shares, atol=1e-4, rtol=0)
    assert f"The most probable class is “{int(widget.view.shares.argmax())}”" in text(widget.words.value)


def test_the_trained_model_names_its_classes() -> None:
    trained = pipeline()
    assert trained.view.classes[3] == "cat" and trained.view.config.depth == 6


def test_without_a_kernel_a_figure_of_all_stages_takes_its_place(widget: Pipeline) -> None:
    assert all(size in widget.still().description for size in SHAPES)


def test_words_fit_models_of_other_kinds() -> None:
    model = create("vit_cifar_patch4_32", seed=0, depth=1, reg_tokens=2, positions="none", num_classes=3)
    widget = pipeline("coffee", model, ["<a>", "b", "c"])
    widget.stage.value = 3
    assert "puts CLS and 2 registers in front, 3 + 64 = 67 tokens: [67, 192]." in widget.sentence
    assert "is row 29 of the table" in text(widget.words.value)
    widget.stage.value = 5
    assert "&lt;a&gt;" in widget.panel.value and "<a>" not in widget.panel.value


def test_every_stage_is_named(widget: Pipeline) -> None:
    assert [label.split(" · ")[1] for label, _ in widget.stage.options] == list(STAGES)


def test_shapes_are_those_of_the_tables(widget: Pipeline) -> None:
    assert [shape(widget.view, stage) for stage in range(1, 6)] == SHAPES


def test_it_cannot_be_opened_on_what_it_cannot_show() -> None:
    with pytest.raises(ValueError, match="patch is 65: expected 1 to 64"):
        pipeline("chelsea", MODEL, patch=65)
    with pytest.raises(ValueError, match="2 names for 10 classes"):
        pipeline("chelsea", MODEL, ["cat", "dog"])
    with pytest.raises(ValueError, match="the pipeline shows a head that reads CLS"):
        walk(create("vit_cifar_patch4_32", global_pool="avg", depth=1), picture("chelsea"))


def test_the_tour_turns_its_pages_and_ends(widget: Pipeline) -> None:
    for page in range(1, 6):
        assert widget.stage.value == page
        assert (widget.back.disabled, widget.next.disabled) == (page == 1, page == 5)
        assert text(widget.page.value).startswith(f"Page {page} of 5 · {STAGES[page - 1]} , {SHAPES[page - 1]}.")
        assert f"Chapter {page} builds this stage." in widget.page.value
        widget.next.click() if page < 5 else widget.back.click()
    assert widget.stage.value == 4
    assert len({text(page) for page in PAGES}) == len(STAGES)


def send(widget: Pipeline, name: str, content: bytes) -> None:
    file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    widget.upload.value = ({**file, "last_modified": datetime.datetime(2025, 1, 1)},)


def test_a_picture_of_your_own_goes_all_the_way_and_stays_to_be_chosen(widget: Pipeline) -> None:
    for shade in (200, 40):  # the same name twice: the file has changed since
        file = io.BytesIO()
        Image.new("RGB", (90, 60), (shade, 30, 30)).save(file, format="png")
        send(widget, "mine.png", file.getvalue())
        assert widget.choice.value == "mine.png" and widget.choice.options[1] == next(iter(PICTURES))
        assert set(widget.view.pixels[0].flatten().tolist()) == {shade}
    widget.choice.value = "coffee"
    widget.choice.value = "mine.png"
    assert set(widget.view.pixels[0].flatten().tolist()) == {40}


def test_a_file_that_is_no_picture_gets_one_clear_line(widget: Pipeline) -> None:
    before = widget.view
    send(widget, "notes.txt", b"no picture")
    assert "notes.txt" in widget.notice.value and "stays" in widget.notice.value
    assert widget.view is before and widget.choice.value == "chelsea"
    widget.choice.value = "coffee"
    assert widget.notice.value == ""
