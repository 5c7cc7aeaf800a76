"""What holds for every explorer: what is left of it without a kernel, and that its controls have names."""

import base64
import html
import io
import re
from collections.abc import Callable, Iterator

import pytest
from ipywidgets import HTML, Box, Widget
from PIL import Image

from vitlib import create
from vitlib.data.datasets import digits
from vitlib.widgets import (
    attention_explorer,
    budget_explorer,
    embedding_explorer,
    grid_explorer,
    layer_readout,
    position_explorer,
    symptom_board,
    training_curves,
    window_explorer,
)
from vitlib.widgets.explorer import Explorer
from vitlib.widgets.pipeline import pipeline

MODEL = create("vit_cifar_patch4_32", seed=0, depth=2)
EXPLORERS: dict[str, Callable[[], Explorer]] = {
    "pipeline": lambda: pipeline("chelsea", MODEL),
    "grid": grid_explorer,
    "embedding": embedding_explorer,
    "positions": lambda: position_explorer("coffee", MODEL),
    "attention": lambda: attention_explorer("chelsea", MODEL, patch=28),
    "attention of CLS": lambda: attention_explorer("chelsea", MODEL, patch=0),
    "readout": lambda: layer_readout(create("vit_digits_patch2_8", seed=0), digits()[1].take(slice(0, 4))),
    "budget": budget_explorer,
    "training": training_curves,
    "windows": window_explorer,
    "symptoms": lambda: symptom_board("healthy"),
}


@pytest.fixture(params=EXPLORERS)
def explorer(request: pytest.FixtureRequest) -> Explorer:
    return EXPLORERS[request.param]()


def test_without_a_kernel_a_figure_and_a_sentence_take_its_place(explorer: Explorer) -> None:
    data, metadata = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == explorer.sentence
    ((kind, said),) = metadata.items()
    words = said["alt"]
    assert len(words) > 40 and f'alt="{html.escape(words)}"' in data["text/html"]
    width = re.search(r"style=\"width: (\d+)px; max-width: 100%", data["text/html"])
    assert width is not None and int(width[1]) > 600
    assert Image.open(io.BytesIO(base64.b64decode(data[kind]))).format == kind.removeprefix("image/").upper()


def controls(widget: Widget) -> Iterator[Widget]:
    """All that can be changed in an explorer."""
    if isinstance(widget, Box):
        for child in widget.children:
            yield from controls(child)
    elif not isinstance(widget, HTML):
        yield widget


def test_every_control_is_named(explorer: Explorer) -> None:
    assert [each for each in controls(explorer) if not (getattr(each, "description", "") or each.label)] == []
    assert len([*controls(explorer)]) > 2
