"""The layer readout: every picture, block and norm, what it says of them, and what is left without a kernel."""

import base64
import html
import io
import re
from itertools import product

import pytest
import torch
from PIL import Image

from vitlib import create
from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures, normalise
from vitlib.vit.logit_lens import readout
from vitlib.widgets.readout import LayerReadout, layer_readout

MODEL = create("vit_digits_patch2_8", seed=0)
PICTURES = digits()[1].take(slice(0, 4))


@pytest.fixture
def widget() -> LayerReadout:
    return layer_readout(MODEL, PICTURES)


def words(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())


def test_every_picture_block_and_norm_shows_the_models_probabilities(widget: LayerReadout) -> None:
    for picture, norm, blocks in product(range(4), (True, False), range(MODEL.config.depth + 1)):
        widget.choice.value, widget.norm.value, widget.blocks.value = picture, norm, blocks
        images = normalise(PICTURES.images[picture : picture + 1], MODEL.config.mean, MODEL.config.std)
        expected = readout(MODEL, images, norm)[0, blocks].softmax(dim=0)
        widths = [float(width) for width in re.findall(r"max\(2px, ([\d.]+)%\)", widget.bars.value)]
        torch.testing.assert_close(torch.tensor(widths) / 100, expected, atol=1e-4, rtol=0)
        best = int(expected.argmax())
        assert f"the head says {best} (" in widget.sentence
        assert ("without the final LayerNorm" in widget.sentence) is not norm
        right = PICTURES.classes[int(PICTURES.labels[picture])]
        assert f"The picture shows {right}" in widget.sentence
        assert widget.sentence.endswith("right.") is bool(best == PICTURES.labels[picture])
        assert words(widget.words.value) == widget.sentence


def test_the_last_block_gives_the_models_own_answer(widget: LayerReadout) -> None:
    logits = MODEL(normalise(PICTURES.images[:1], MODEL.config.mean, MODEL.config.std))
    torch.testing.assert_close(widget.view.probabilities[-1], logits[0].softmax(dim=0))
    assert widget.blocks.value == MODEL.config.depth
    assert widget.sentence.startswith("After block 3 of 3 the head says ")


def test_before_the_first_block_it_says_so(widget: LayerReadout) -> None:
    widget.blocks.value = 0
    assert widget.sentence.startswith("Before the first block the head says ")


def test_all_blocks_stand_beside_the_bars_and_the_chosen_one_is_marked(widget: LayerReadout) -> None:
    widget.blocks.value = 2
    heads = re.findall(r'<th scope="col" style="font-weight: (\d+)[^>]*>(\d)', widget.history.value)
    assert heads == [("400", "0"), ("400", "1"), ("700", "2"), ("400", "3")]
    assert widget.history.value.count("outline") == len(PICTURES.classes)
    shares = [int(cell) for cell in re.findall(r">(\d+)</td>", widget.history.value)]
    assert shares == (100 * widget.view.probabilities.T).round().int().flatten().tolist()


def test_the_picture_is_the_very_picture(widget: LayerReadout) -> None:
    widget.choice.value = 3
    data = re.search(r'base64,([^"]+)"', widget.image.value)
    assert data is not None
    pixels = Image.open(io.BytesIO(base64.b64decode(data[1]))).convert("L")
    assert list(pixels.tobytes()) == PICTURES.images[3].flatten().tolist()


def test_pictures_can_have_names_and_classes_markup() -> None:
    classes = ("<b>", *"123456789")
    widget = layer_readout(MODEL, Pictures(PICTURES.images, PICTURES.labels * 0, classes), ["a", "b", "c", "d"])
    assert widget.choice.options[1] == ("b", 1)
    assert "&lt;b&gt;" in widget.bars.value and "<b>" not in widget.bars.value + widget.history.value


def test_without_a_kernel_a_figure_of_all_blocks_takes_its_place(widget: LayerReadout) -> None:
    assert "3: " + widget.view.said(3) in widget.still().description


def test_it_cannot_be_opened_on_pictures_that_the_model_does_not_fit() -> None:
    with pytest.raises(ValueError, match="there is no picture to read"):
        layer_readout(MODEL, PICTURES.take(slice(0, 0)))
    with pytest.raises(ValueError, match="the pictures have 10 classes and the model has 3 logits"):
        layer_readout(create("vit_digits_patch2_8", num_classes=3), PICTURES)
    with pytest.raises(ValueError, match="1 names for 4 pictures"):
        layer_readout(MODEL, PICTURES, ["one"])
