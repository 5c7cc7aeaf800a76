"""What the layer readout shows: class bars after a block, and all the blocks at a glance, as HTML and in words.

Pure functions of a `ReadoutView` and a number of blocks, 0…depth; the controls are in readout.py.
"""

from dataclasses import dataclass
from functools import cached_property
from html import escape

from jaxtyping import Float
from torch import Tensor

from vitlib.data.pictures import Pictures, normalise
from vitlib.plotting import Figure, draw_picture
from vitlib.vit.logit_lens import readout
from vitlib.vit.model import ViT
from vitlib.widgets.pictures import ORANGE, data_uri, percent

SIDE = 150  # screen pixels of the picture
TYPE = "color: var(--jp-ui-font-color1, inherit); font-size: var(--jp-ui-font-size1, 13px); line-height: 1.45"


@dataclass(frozen=True, eq=False)
class ReadoutView:
    """One picture, and what the model's head makes of its token row after every block."""

    model: ViT
    picture: Pictures  # a single one
    norm: bool  # whether the final LayerNorm stands before the head, as the head has learned

    @cached_property
    def probabilities(self) -> Float[Tensor, "L K"]:
        """After 0, 1, …, depth blocks: softmax of the head's logits."""
        config = self.model.config
        return readout(self.model, normalise(self.picture.images, config.mean, config.std), self.norm)[0].softmax(
            dim=-1
        )

    @property
    def classes(self) -> tuple[str, ...]:
        return self.picture.classes

    @property
    def depth(self) -> int:
        return self.model.config.depth

    @property
    def label(self) -> int:
        """The right class."""
        return int(self.picture.labels[0])

    def ranking(self, blocks: int) -> list[int]:
        """The classes, the likeliest first."""
        return self.probabilities[blocks].argsort(descending=True, stable=True).tolist()

    def said(self, blocks: int, place: int = 0) -> str:
        """A class by its place in the ranking, with its probability."""
        number = self.ranking(blocks)[place]
        return f"{self.classes[number]} ({percent(self.probabilities[blocks, number])})"


def sentence(view: ReadoutView, blocks: int) -> str:
    """What the bars show, in words."""
    behind = "Before the first block" if blocks == 0 else f"After block {blocks} of {view.depth}"
    without = "" if view.norm else ", without the final LayerNorm,"
    words = f"{behind}{without} the head says {view.said(blocks)}, then {view.said(blocks, 1)}."
    right = view.classes[view.label]
    place = view.ranking(blocks).index(view.label) + 1
    words += f" The picture shows {right}"
    words += ": right." if place == 1 else f", which comes {place} of {len(view.classes)}."
    return words


def picture_html(view: ReadoutView) -> str:
    """The picture, large enough to see its pixels."""
    name = escape(f"a picture of {view.classes[view.label]}")
    return (
        f'<img class="vit-pixels" src="{data_uri(view.picture.images[0])}" alt="{name}" '
        f'style="width: {SIDE}px; max-width: 100%; display: block">'
    )


def history_html(view: ReadoutView, blocks: int) -> str:
    """All the blocks at a glance: a column each, a row for each class, the darker the likelier."""
    heads = "".join(
        f'<th scope="col" style="font-weight: {700 if number == blocks else 400}; padding: 0 2px">{number}</th>'
        for number in range(view.depth + 1)
    )
    lines = []
    for number, name in enumerate(view.classes):
        cells = "".join(
            _cell(float(view.probabilities[after, number]), after == blocks) for after in range(view.depth + 1)
        )
        tick = " ✓" if number == view.label else ""
        lines.append(
            f'<tr><th scope="row" style="text-align: right; font-weight: 400">{escape(name)}{tick}</th>{cells}</tr>'
        )
    return (
        f'<table style="border-collapse: separate; border-spacing: 2px; width: auto; {TYPE}">'
        '<caption style="caption-side: top; text-align: left; white-space: nowrap">blocks so far, and each class in '
        f"per cent</caption><tr><th></th>{heads}</tr>{''.join(lines)}</table>"
    )


def words_html(view: ReadoutView, blocks: int) -> str:
    """The sentence, read aloud by a screen reader whenever it changes."""
    return f'<div class="vit-words"><p role="status">{escape(sentence(view, blocks))}</p></div>'


def still(view: ReadoutView) -> Figure:
    """The picture, and every block's probabilities: the figure for where no kernel runs."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 2.2])
    draw_picture(left, view.picture.images[0])
    left.set_title(f"a picture of {view.classes[view.label]}", fontsize=10)
    table = view.probabilities.T  # K L
    shown = right.imshow(table.numpy(), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    right.set_yticks(range(len(view.classes)), view.classes)
    right.set_xticks(range(view.depth + 1))
    right.set_xlabel("blocks so far")
    right.set_title("what the head says")
    figure.colorbar(shown, ax=right, label="probability")
    said = "; ".join(f"{after}: {view.said(after)}" for after in range(view.depth + 1))
    figure.description = (
        f"A picture of {view.classes[view.label]}, and a table of the head's probabilities: one row for each class, "
        f"one column for each number of blocks so far. The likeliest class by column: {said}."
    )
    return figure


def _cell(share: float, chosen: bool) -> str:
    ink = "white" if share > 0.5 else "inherit"
    edge = f"outline: 2px solid {ORANGE};" if chosen else ""
    return (
        f'<td style="background: rgba(0, 114, 178, {share:.2f}); color: {ink}; {edge} min-width: 2.2em; '
        f'text-align: center; font-variant-numeric: tabular-nums">{round(100 * share)}</td>'
    )
