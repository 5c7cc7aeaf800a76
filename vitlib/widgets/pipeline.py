"""The pipeline: a guided tour of a ViT, a page for each stage, with a picture of your own if you like."""

from collections.abc import Sequence
from typing import Any, Final

from ipywidgets import HTML, Button, FileUpload, HBox, IntSlider, Layout, SelectionSlider

from vitlib.data.samples import PICTURES, picture
from vitlib.models import create
from vitlib.plotting import Figure
from vitlib.trained import card
from vitlib.vit.model import ViT
from vitlib.widgets.explorer import (
    CONTROL,
    Explorer,
    column,
    flexible,
    on_change,
    picture_choice,
    side_by_side,
    uploaded,
)
from vitlib.widgets.pipeline_view import canvas, page_html, panel_html, still, words_html
from vitlib.widgets.walk import STAGES, sentence, walk

MODEL: Final = "vit_cifar_patch4_32"


def pipeline(
    name: str = "chelsea", model: ViT | None = None, classes: Sequence[str] | None = None, patch: int = 27
) -> "Pipeline":
    """A widget that leads through a ViT page by page: patchify, embed, token row, encoder, classify. Each page says
    what its stage makes of the picture, and what to look at.

    name: a bundled picture, one of `vitlib.data.samples`, or the path of your own; model: a ViT for colour pictures
    whose head reads CLS (None: the trained one that comes with vitlib, and its classes); classes: their names;
    patch: the one that is followed first, 1…N.

    >>> print(pipeline("coffee", create("vit_cifar_patch4_32")).sentence)
    Patchify cuts the picture of 32 × 32 pixels into 64 patches of 4 × 4 and lays each out as 48 numbers: [64, 48].

    Errors: those of `picture`; ValueError for a patch that the model's grid lacks, for a model whose head
    does not read CLS, and for another number of names than of classes.
    """
    if model is None:
        model, classes = create(MODEL, pretrained=True), card(MODEL)["classes"]
    return Pipeline(name, model, classes, patch)


class Pipeline(Explorer):
    """One picture's way through a model; without a kernel, a figure of all five stages."""

    def __init__(self, name: str, model: ViT, classes: Sequence[str] | None, patch: int) -> None:
        count = model.config.grid.tokens
        if not 1 <= patch <= count:
            raise ValueError(f"patch is {patch}: expected 1 to {count}, the patches of the model")
        self._model, self._classes = model, classes
        self._own = {} if name in PICTURES else {name: picture(name)}  # the learner's own, by its file's name
        stages = [(f"{number} · {stage}", number) for number, stage in enumerate(STAGES, start=1)]
        self.stage = SelectionSlider(options=stages, value=1, description="Stage", **CONTROL)
        self.choice = picture_choice(name)
        self.patch = IntSlider(value=patch, min=1, max=count, description="Follow patch", **CONTROL)
        self.upload = FileUpload(accept="image/*", description="Your own picture", layout={"width": "auto"})
        self.upload.tooltip = "A picture of up to 10 MB. For a larger one, write pipeline('its path')"
        self.back, self.next = Button(description="Back"), Button(description="Next page", button_style="primary")
        self.page, self.notice, self.image, self.words, self.panel = HTML(), HTML(), HTML(), HTML(), HTML()

        turn = HBox([self.back, self.next, self.upload], layout=Layout(flex_flow="row wrap"))
        side = column(self.stage, self.choice, self.patch, self.notice, self.words, self.image, limit=380)
        self.panel.layout = flexible(380, margin="0")
        super().__init__(self.page, turn, side_by_side(side, self.panel))

        on_change(self._open, self.choice)
        on_change(self._open_upload, self.upload)
        self.back.on_click(lambda _: self._turn(-1))
        self.next.on_click(lambda _: self._turn(1))
        on_change(self._draw, self.stage, self.patch)
        self._open()

    @property
    def sentence(self) -> str:
        """What the chosen stage does, in words."""
        return sentence(self.view, self.stage.value)

    def _open(self, _: Any = None) -> None:
        """Send the picture through the model once; the sliders then only choose what is shown of its way."""
        name = self.choice.value
        pixels = self._own[name] if name in self._own else picture(name)
        self.view = walk(self._model, pixels, self._classes)
        self.notice.value = ""
        self._draw()

    def _open_upload(self, _: Any) -> None:
        own = uploaded(self.upload, self.notice)
        if own is not None:
            self._own = dict([own])
            self.choice.options = [*self._own, *PICTURES]  # a new list of options selects its first
            self._open()  # also where the name is the one that was chosen before

    def _turn(self, pages: int) -> None:
        self.stage.value += pages

    def _draw(self, _: Any = None) -> None:
        stage, patch = self.stage.value, self.patch.value
        self.patch.disabled = stage == len(STAGES)  # the head reads CLS, no patch
        self.back.disabled, self.next.disabled = stage == 1, stage == len(STAGES)
        self.page.value = page_html(self.view, stage)
        self.image.value = canvas(self.view, patch)
        self.words.value = words_html(self.view, stage, patch)
        self.panel.value = panel_html(self.view, stage, patch)

    def still(self) -> Figure:
        """All five stages."""
        return still(self.view)
