"""The layer readout: choose a picture, move through the blocks, and see what the classifier would say there."""

from collections.abc import Sequence
from typing import Any

from ipywidgets import HTML, Dropdown, IntSlider, Layout

from vitlib.data.pictures import Pictures
from vitlib.plotting import Figure
from vitlib.vit.model import ViT
from vitlib.widgets.explorer import CONTROL, Explorer, column, flexible, on_change, side_by_side, tick
from vitlib.widgets.pictures import class_bars
from vitlib.widgets.readout_view import ReadoutView, history_html, picture_html, sentence, still, words_html


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


class LayerReadout(Explorer):
    """A picture, and what the head makes of it block by block; without a kernel, a figure of all the blocks."""

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
        self.norm = tick("final LayerNorm before the head", True)
        self.image, self.words, self.bars, self.history = HTML(), HTML(), HTML(), HTML()

        side = column(self.choice, self.blocks, self.norm, self.words)
        self.image.layout = Layout(flex="0 0 auto", margin="0 0 0 8px")
        self.bars.layout = flexible(340)
        self.history.layout = Layout(flex="0 1 auto", min_width="0", overflow="auto")
        super().__init__(side_by_side(self.image, side), side_by_side(self.bars, self.history))

        on_change(self._read, self.choice, self.norm)
        on_change(self._draw, self.blocks)
        self._read()

    @property
    def sentence(self) -> str:
        return sentence(self.view, self.blocks.value)

    def _read(self, _: Any = None) -> None:
        """Send the picture through the model once; the slider then only chooses what is shown of it."""
        chosen = self.choice.value
        self.view = ReadoutView(self._model, self._pictures.take(slice(chosen, chosen + 1)), self.norm.value)
        self.image.value = picture_html(self.view)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        blocks = self.blocks.value
        self.bars.value = class_bars(self.view.classes, self.view.probabilities[blocks], self.view.label)
        self.history.value = history_html(self.view, blocks)
        self.words.value = words_html(self.view, blocks)

    def still(self) -> Figure:
        """The picture, and every block's probabilities."""
        return still(self.view)
