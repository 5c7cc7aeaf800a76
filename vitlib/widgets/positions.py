"""The position explorer: lay a picture's patches anew, and see whether CLS notices, with positions and without."""

import base64
from typing import Any, Final

from ipywidgets import HTML, Dropdown, HBox, IntSlider, Layout, ToggleButtons, VBox

from vitlib.data.samples import PICTURES, picture
from vitlib.models import create
from vitlib.vit.model import ViT
from vitlib.widgets.frame import CONTROL, STYLE
from vitlib.widgets.positions_view import KINDS, Seats, canvas_html, order_of, seat, sentence, still, words_html

MODEL: Final = "vit_cifar_patch4_32"
ORDERS = ("as it is", "swap two", "shuffle all")
TRIO = "<style>.vit-trio {display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px}</style>"


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


class PositionExplorer(VBox):
    """The controls, and what is drawn each time one of them changes.

    It may be looked at with no kernel behind it: then the figure and the sentence that it began with take its place.
    """

    def __init__(self, name: str, model: ViT, order: str, first: int, second: int) -> None:
        tokens = model.config.grid.tokens
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}: expected one of {', '.join(map(repr, ORDERS))}")
        for what, patch in (("first", first), ("second", second)):
            if not 1 <= patch <= tokens:
                raise ValueError(f"{what} is {patch}: expected 1 to {tokens}, the patches of the model")
        self._model = model
        own = () if name in PICTURES else (name,)
        self.choice = Dropdown(options=[*own, *PICTURES], value=name, description="Picture", **CONTROL)
        self.order = ToggleButtons(options=ORDERS, value=order, description="Order", **CONTROL)
        self.first = IntSlider(value=first, min=1, max=tokens, description="First patch", **CONTROL)
        self.second = IntSlider(value=second, min=1, max=tokens, description="Second patch", **CONTROL)
        self.kind = ToggleButtons(options=list(KINDS), description="Map of", **CONTROL)
        for buttons in (self.order, self.kind):
            buttons.style.button_width = "92px"
            buttons.layout = Layout(display="flex", flex_flow="row nowrap", width="auto")
        self.canvas, self.words = HTML(), HTML()

        left = VBox([self.choice, self.order, self.kind], layout=Layout(flex="1 1 320px", min_width="0"))
        right = VBox([self.first, self.second], layout=Layout(flex="1 1 280px", min_width="0"))
        controls = HBox([left, right], layout=Layout(flex_flow="row wrap", grid_gap="0 28px", width="100%"))
        super().__init__([HTML(STYLE + TRIO), controls, self.canvas, self.words], layout=Layout(max_width="860px"))
        self.add_class("vit-explorer")

        self.choice.observe(self._open, "value")
        for control in (self.order, self.first, self.second):
            control.observe(self._lay, "value")
        self.kind.observe(self._draw, "value")
        self._open()

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        return sentence(self.seats, self.kind.value)

    def _open(self, _: Any = None) -> None:
        """Take a picture: what CLS reads of it as it is, the model need be asked only once."""
        self._as_it_is = seat(self._model, picture(self.choice.value))
        self._lay()

    def _lay(self, _: Any = None) -> None:
        """Lay the patches as the controls say, and ask the model again."""
        self.second.disabled = self.order.value != "swap two"
        pair = self.first.value, self.second.value
        order = order_of(self.order.value, self._model.config.grid.tokens, *pair)
        self.seats: Seats = self._as_it_is.laid(self._model, order, pair)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        self.canvas.value = canvas_html(self.seats, self.kind.value)
        self.words.value = words_html(self.seats, self.kind.value)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        plate = still(self.seats, self.kind.value)
        kept = {"image/png": base64.b64encode(plate.png()).decode(), "text/plain": self.sentence}
        return super()._repr_mimebundle_(**kwargs) | kept, {"image/png": {"alt": self.sentence}}
