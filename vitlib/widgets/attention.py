"""The attention explorer: choose a patch, a layer and a head, and see what that patch's token takes from all others."""

import base64
from pathlib import Path
from typing import Any, Final

import traitlets
from anywidget import AnyWidget
from ipywidgets import HTML, Checkbox, Dropdown, IntSlider, Layout, ToggleButtons, VBox

from vitlib.data.samples import PICTURES, picture
from vitlib.models import create
from vitlib.vit.model import ViT
from vitlib.widgets.attention_view import look, sentence, still
from vitlib.widgets.frame import CONTROL, STYLE

MODEL: Final = "vit_cifar_patch4_32"


def attention_explorer(name: str = "chelsea", model: ViT | None = None, patch: int = 27) -> "AttentionExplorer":
    """A widget that shows where a model looks: click a patch, and see what its token takes from every other.

    name: a bundled picture, one of `vitlib.data.samples`, or the path of your own; model: a ViT with CLS for colour
    pictures (None: the trained one that comes with vitlib); patch: the one that asks first, 1…N, or 0 for CLS. It
    begins with the last layer.

    >>> attention_explorer("coffee", create("vit_cifar_patch4_32")).sentence
    'Layer 6, head 1: patch 27 (row 4, column 3) takes most, ...'

    Errors: those of `picture`; ValueError for a patch that the model's grid lacks, and for a model that has
    no CLS.
    """
    return AttentionExplorer(name, model or create(MODEL, pretrained=True), patch)


class PatchPicker(AnyWidget):
    """The picture twice under its grid: who asks, and who answers. The browser sets `query`, Python all the rest."""

    _esm = Path(__file__).with_name("attention.js").read_text(encoding="utf-8")
    picture = traitlets.Unicode().tag(sync=True)  # address of an image
    rows = traitlets.Int().tag(sync=True)  # patches
    columns = traitlets.Int().tag(sync=True)  # patches
    query = traitlets.Int().tag(sync=True)  # the token that asks: 0 for CLS, else 1…N
    shares = traitlets.List(traitlets.Float()).tag(sync=True)  # what it takes from each of the N + 1 tokens
    words = traitlets.Unicode().tag(sync=True)  # the same for those who cannot see it


class AttentionExplorer(VBox):
    """The controls, and what is drawn each time one of them changes.

    It may be looked at with no kernel behind it: then the figure and the sentence that it began with take its place.
    """

    def __init__(self, name: str, model: ViT, patch: int) -> None:
        config = model.config
        if not 0 <= patch <= config.grid.tokens:
            raise ValueError(f"patch is {patch}: expected 0 (CLS) to {config.grid.tokens}, the patches of the model")
        self._model = model
        own = () if name in PICTURES else (name,)
        self.choice = Dropdown(options=[*own, *PICTURES], value=name, description="Picture", **CONTROL)
        self.layer = IntSlider(value=config.depth, min=1, max=config.depth, description="Layer", **CONTROL)
        heads = [*((str(head + 1), head) for head in range(config.num_heads)), ("mean of all", None)]
        self.head = ToggleButtons(options=heads, value=0, description="Head", **CONTROL)
        self.head.style.button_width = "84px"
        self.head.layout = Layout(display="flex", flex_flow="row nowrap", width="auto")
        self.follow = Checkbox(
            value=False, description="rollout: followed from this layer down to the picture", indent=False,
            layout={"margin": "2px 2px 2px 100px", "width": "auto"},
        )  # fmt: skip
        self.canvas, self.words = PatchPicker(query=patch), HTML()
        controls = [self.choice, self.layer, self.head, self.follow]
        super().__init__([HTML(STYLE), *controls, self.canvas, self.words], layout=Layout(max_width="720px"))
        self.add_class("vit-explorer")

        self.choice.observe(self._open, "value")
        for control in (self.layer, self.head, self.follow):
            control.observe(self._draw, "value")
        self.canvas.observe(self._draw, "query")
        self._open()

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        where = f"Layer {self.layer.value}"
        if self.follow.value:
            where = f"Rollout through layer{'s 1 to' * (self.layer.value > 1)} {self.layer.value}"
        else:
            where += ", mean of all heads" if self.head.value is None else f", head {self.head.value + 1}"
        return sentence(self.seen, self._table, self.canvas.query, where)

    def _open(self, _: Any = None) -> None:
        self.seen = look(self._model, picture(self.choice.value))
        with self.canvas.hold_sync():  # one message, so that shares never meet another picture
            self._draw()
            self.canvas.rows, self.canvas.columns = self.seen.grid.rows, self.seen.grid.columns
            self.canvas.picture = self.seen.source

    def _draw(self, _: Any = None) -> None:
        self.head.disabled = self.follow.value  # rollout takes the mean of all heads
        self._table = self.seen.table(self.layer.value - 1, self.head.value, self.follow.value)
        words = self.sentence
        with self.canvas.hold_sync():
            self.canvas.words = words
            self.canvas.shares = self._table[self.canvas.query].tolist()
        self.words.value = f'<div class="vit-words"><p aria-live="polite">{words}</p></div>'

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        query, words = self.canvas.query, self.sentence
        plate = still(self.seen, self._table[query], query, words.split(":")[0])
        kept = {"image/png": base64.b64encode(plate.png()).decode(), "text/plain": words}
        return super()._repr_mimebundle_(**kwargs) | kept, {"image/png": {"alt": words}}
