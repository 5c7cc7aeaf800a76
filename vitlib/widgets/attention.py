"""The attention explorer: choose a patch, a layer and a head, and see what that patch's token takes from all others.

Open one of the weights to follow it from q · k to the head's output; cover patches, and watch the logits.
"""

from typing import Any, Final

from ipywidgets import HTML, Button, IntSlider, Layout

from vitlib.data.samples import picture
from vitlib.models import create
from vitlib.plotting import Figure
from vitlib.trained import card
from vitlib.training.classes import class_names
from vitlib.vit.model import ViT
from vitlib.widgets.attention_view import covered_words, logits_html, look, panels_html, sentence, still
from vitlib.widgets.explorer import (
    CONTROL,
    INSET,
    Explorer,
    buttons,
    column,
    on_change,
    picture_choice,
    side_by_side,
    tick,
)
from vitlib.widgets.opened import opened, opened_html
from vitlib.widgets.picker import Picker

MODEL: Final = "vit_cifar_patch4_32"
ASKS, COVERS = "chooses who asks", "covers a patch"  # what a click in the left picture does


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
    classes: tuple[str, ...] = ()
    if model is None:
        model, classes = create(MODEL, pretrained=True), tuple(card(MODEL)["classes"])
    return AttentionExplorer(name, model, patch, classes)


class AttentionExplorer(Explorer):
    """A picture and the attention weights of one query; without a kernel, both as a figure."""

    def __init__(self, name: str, model: ViT, patch: int, classes: tuple[str, ...] = ()) -> None:
        config = model.config
        tokens = config.grid.tokens
        if not 0 <= patch <= tokens:
            raise ValueError(f"patch is {patch}: expected 0 (CLS) to {tokens}, the patches of the model")
        self._model = model
        self._classes = classes or class_names(model) or tuple(map(str, range(config.num_classes)))
        self.choice = picture_choice(name)
        self.layer = IntSlider(value=config.depth, min=1, max=config.depth, description="Layer", **CONTROL)
        heads = [*((str(head + 1), head) for head in range(config.num_heads)), ("mean of all", None)]
        self.head = buttons("Head", heads, 84, value=0)
        self.follow = tick("rollout: followed from this layer down to the picture")
        self.click = buttons("A click", (ASKS, COVERS), 128)
        self.click.tooltip = "In the left picture. By keyboard: Enter or Space covers the patch that asks"
        self.uncover = Button(description="uncover all", icon="undo", layout=INSET, disabled=True)
        self.key = IntSlider(value=0, min=0, max=tokens, description="Weight for", **CONTROL)
        self.key.layout.max_width = "480px"
        self.canvas = Picker(
            label="Token that asks", first=0, chosen=patch, rows=config.grid.rows, columns=config.grid.columns
        )
        self.words, self.logits, self.opened = HTML(), HTML(), HTML()

        left, right = column(self.choice, self.layer, self.head), column(self.follow, self.click, self.uncover)
        self.canvas.layout = Layout(flex="2 1 400px", min_width="0")
        shown = side_by_side(self.canvas, column(self.logits, basis=280))
        super().__init__(side_by_side(left, right), shown, self.words, self.key, self.opened)

        on_change(self._open, self.choice)
        on_change(self._draw, self.layer, self.head, self.follow)
        on_change(self._draw, self.canvas, trait="chosen")
        on_change(self._open_weight, self.key)
        self.canvas.on_msg(self._on_message)
        self.uncover.on_click(lambda _: self._cover(frozenset()))
        self._open()
        self.key.value = int(self.weights[1:].argmax()) + 1

    @property
    def weights(self) -> Any:
        """The attention weights of the token that asks, one for CLS and each patch."""
        return self._table[self.canvas.chosen]

    @property
    def sentence(self) -> str:
        return sentence(self.seen, self._table, self.canvas.chosen, self._where())

    def still(self) -> Figure:
        """The picture, and the weights over it."""
        figure = still(self.seen, self.weights, self.canvas.chosen, self._where())
        figure.description = self.sentence
        return figure

    def _where(self) -> str:
        layer = self.layer.value
        if self.follow.value:
            return f"Rollout through layer{'s 1 to' * (layer > 1)} {layer}"
        return f"Layer {layer}, " + ("mean of all heads" if self.head.value is None else f"head {self.head.value + 1}")

    def _open(self, _: Any = None) -> None:
        """Another picture, and nothing covered."""
        self._whole = look(self._model, picture(self.choice.value))
        self._cover(frozenset())

    def _cover(self, patches: frozenset[int]) -> None:
        """The model looks again, with these patches covered."""
        self.seen = look(self._model, picture(self.choice.value), patches) if patches else self._whole
        self.uncover.disabled = not patches
        said = covered_words(self._classes, self.seen, self._whole)
        drawn = logits_html(self._classes, self.seen, self._whole)
        self.logits.value = f'{drawn}<p class="vit-caption" role="status">{said}</p>'
        self._draw()

    def _on_message(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """A click in one of the pictures, or Enter or Space, which cover the patch that asks."""
        token = message["token"]
        if message.get("panel") == 1:
            self.key.value = token
        elif "key" not in message and self.click.value == ASKS:
            self.canvas.chosen = token
        elif token > 0:  # CLS has no pixels
            self._cover(self.seen.covered ^ {token})

    def _draw(self, _: Any = None) -> None:
        self.head.disabled = self.follow.value  # rollout takes the mean of all heads
        self._table = self.seen.table(self.layer.value - 1, self.head.value, self.follow.value)
        self._open_weight()
        self.words.value = f'<div class="vit-words"><p aria-live="polite">{self.sentence}</p></div>'

    def _open_weight(self, _: Any = None) -> None:
        """The steps of one weight, and its frame in the picture."""
        key, head = self.key.value, self.head.value
        single = head is not None and not self.follow.value
        self.key.disabled = not single
        if single:
            one = opened(self.seen, self.layer.value - 1, head, self.canvas.chosen, key)
            self.opened.value = opened_html(one)
        else:
            self.opened.value = '<p class="vit-caption">Choose one head, and no rollout, to open a weight.</p>'
        with self.canvas.hold_sync():  # one message: the parts belong together
            self.canvas.words = self.sentence
            self.canvas.html = panels_html(self.seen, self.weights, self.canvas.chosen, key if single else None)
