"""The position explorer: rearrange a picture's patches, and see whether CLS notices, with positions and without."""

from typing import Any, Final

from ipywidgets import HTML, IntSlider

from vitlib.data.samples import picture
from vitlib.models import create
from vitlib.plotting import Figure
from vitlib.vit.checks import require_one_of
from vitlib.vit.model import ViT
from vitlib.widgets.explorer import CONTROL, Explorer, buttons, column, on_change, picture_choice, side_by_side
from vitlib.widgets.positions_view import (
    KINDS,
    Arrangement,
    arrange,
    canvas_html,
    order_of,
    sentence,
    still,
    words_html,
)

MODEL: Final = "vit_cifar_patch4_32"
ORDERS = ("as it is", "swap two", "shuffle all")


def position_explorer(
    name: str = "coffee", model: ViT | None = None, order: str = "swap two", first: int = 28, second: int = 1
) -> "PositionExplorer":
    """A widget that moves patches about and says how far that moves what a model reads, with and without positions.

    name: a bundled picture, one of `vitlib.data.samples`, or the path of your own; model: a ViT with CLS and learned
    positions for colour pictures (None: the trained one that comes with vitlib); order: "as it is", "swap two" or
    "shuffle all"; first, second: patches, 1…N. The similarity map is the first patch's.

    >>> print(position_explorer("coffee", create("vit_cifar_patch4_32"), order="as it is").sentence)
    Every patch lies where it belongs. ...

    Errors: those of `picture`; ValueError for an order or a patch that is not there, and for a model without
    CLS or learned positions.
    """
    return PositionExplorer(name, model or create(MODEL, pretrained=True), order, first, second)


class PositionExplorer(Explorer):
    """A picture, its patches rearranged, and a similarity map; without a kernel, the three as a figure."""

    def __init__(self, name: str, model: ViT, order: str, first: int, second: int) -> None:
        tokens = model.config.grid.tokens
        require_one_of("order", order, ORDERS)
        for what, patch in (("first", first), ("second", second)):
            if not 1 <= patch <= tokens:
                raise ValueError(f"{what} is {patch}: expected 1 to {tokens}, the patches of the model")
        self._model = model
        self.choice = picture_choice(name)
        self.order = buttons("Order", ORDERS, 92, value=order)
        self.first = IntSlider(value=first, min=1, max=tokens, description="First patch", **CONTROL)
        self.second = IntSlider(value=second, min=1, max=tokens, description="Second patch", **CONTROL)
        self.kind = buttons("Map of", KINDS, 92)
        self.canvas, self.words = HTML(), HTML()

        controls = side_by_side(column(self.choice, self.order, self.kind), column(self.first, self.second, basis=280))
        super().__init__(controls, self.canvas, self.words, width=860)

        on_change(self._open, self.choice)
        on_change(self._rearrange, self.order, self.first, self.second)
        on_change(self._draw, self.kind)
        self._open()

    @property
    def sentence(self) -> str:
        return sentence(self.arrangement, self.kind.value)

    def _open(self, _: Any = None) -> None:
        """Take a picture: what CLS reads of it as it is, the model need be asked only once."""
        self._as_it_is = arrange(self._model, picture(self.choice.value))
        self._rearrange()

    def _rearrange(self, _: Any = None) -> None:
        """Lay the patches as the controls say, and ask the model again."""
        self.second.disabled = self.order.value != "swap two"
        pair = self.first.value, self.second.value
        order = order_of(self.order.value, self._model.config.grid.tokens, *pair)
        self.arrangement: Arrangement = self._as_it_is.rearranged(self._model, order, pair)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        self.canvas.value = canvas_html(self.arrangement, self.kind.value)
        self.words.value = words_html(self.arrangement, self.kind.value)

    def still(self) -> Figure:
        """The picture, the patches as they lie, and the similarity map."""
        return still(self.arrangement, self.kind.value)
