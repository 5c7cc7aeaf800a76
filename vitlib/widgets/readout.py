"""The layer readout: choose a picture, move through the blocks, and see what the classifier would say there."""

import base64
from collections.abc import Sequence
from typing import Any

from ipywidgets import HTML, Checkbox, Dropdown, HBox, IntSlider, Layout, VBox

from vitlib.data.pictures import Pictures
from vitlib.vit.model import ViT
from vitlib.widgets.frame import CONTROL, STYLE
from vitlib.widgets.readout_view import (
    ReadoutView,
    bars_html,
    history_html,
    picture_html,
    sentence,
    still,
    words_html,
)


def layer_readout(model: ViT, pictures: Pictures, names: Sequence[str] | None = None) -> "LayerReadout":
    """A widget that shows the class bars after each block of `model`, for each of these pictures.

    pictures: as many as may be chosen from, of the model's size and classes; names: what each is called in the list,
    their class where nothing is given.

    >>> import torch
    >>> from vitlib import create
    >>> blank = Pictures(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.tensor([3]), tuple("0123456789"))
    >>> layer_readout(create("vit_digits_patch2_8"), blank).blocks.max
    3

    Errors: ValueError for no picture, for other classes than the model has logits, and for names that are not one for
    each picture; those of the model for pictures of another size.
    """
    return LayerReadout(model, pictures, names)


class LayerReadout(VBox):
    """The controls, and what is drawn each time one of them changes.

    It may be looked at with no kernel behind it: then a figure of all the blocks takes its place.
    """

    def __init__(self, model: ViT, pictures: Pictures, names: Sequence[str] | None) -> None:
        if not len(pictures):
            raise ValueError("there is no picture to read; give at least one")
        if len(pictures.classes) != model.config.num_classes:
            raise ValueError(
                f"the pictures have {len(pictures.classes)} classes and the model has {model.config.num_classes} "
                "logits; give pictures of the model's own classes"
            )
        if names is None:
            names = [
                f"{number + 1}: {pictures.classes[label]}" for number, label in enumerate(pictures.labels.tolist())
            ]
        if len(names) != len(pictures):
            raise ValueError(f"{len(names)} names for {len(pictures)} pictures: expected one name for each")
        self._model, self._pictures = model, pictures

        options = [(name, number) for number, name in enumerate(names)]
        self.choice = Dropdown(options=options, value=0, description="Picture", **CONTROL)
        self.blocks = IntSlider(
            value=model.config.depth, min=0, max=model.config.depth, description="Blocks", **CONTROL
        )
        self.norm = Checkbox(value=True, description="final LayerNorm before the head", indent=False)
        self.norm.layout = Layout(margin="2px 2px 2px 100px", width="auto")
        self.image, self.words, self.bars, self.history = HTML(), HTML(), HTML(), HTML()

        side = VBox([self.choice, self.blocks, self.norm, self.words], layout=Layout(flex="1 1 320px", min_width="0"))
        self.image.layout = Layout(flex="0 0 auto", margin="0 0 0 8px")
        self.bars.layout = Layout(flex="1 1 340px", min_width="0")
        self.history.layout = Layout(flex="0 1 auto", min_width="0", overflow="auto")
        rows = Layout(flex_flow="row wrap", grid_gap="12px 28px", width="100%")
        top, below = HBox([self.image, side], layout=rows), HBox([self.bars, self.history], layout=rows)
        super().__init__([HTML(STYLE), top, below], layout=Layout(width="100%", max_width="1040px"))
        self.add_class("vit-explorer")

        for control in (self.choice, self.norm):
            control.observe(self._read, "value")
        self.blocks.observe(self._draw, "value")
        self._read()

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        return sentence(self.view, self.blocks.value)

    def _read(self, _: Any = None) -> None:
        """Send the picture through the model once; the slider then only chooses what is shown of it."""
        chosen = self.choice.value
        self.view = ReadoutView(self._model, self._pictures.take(slice(chosen, chosen + 1)), self.norm.value)
        self.image.value = picture_html(self.view)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        blocks = self.blocks.value
        self.bars.value = bars_html(self.view, blocks)
        self.history.value = history_html(self.view, blocks)
        self.words.value = words_html(self.view, blocks)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        figure = still(self.view)
        shown = {"image/png": base64.b64encode(figure.png()).decode(), "text/plain": self.sentence}
        return super()._repr_mimebundle_(**kwargs) | shown, {"image/png": {"alt": figure.description}}
