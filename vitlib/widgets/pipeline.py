"""The pipeline: a guided tour of a ViT, a page for each stage, with a picture of your own if you like."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from ipywidgets import HTML, Button, Dropdown, FileUpload, HBox, IntSlider, Layout, SelectionSlider, VBox

from vitlib.data.decode import read_picture
from vitlib.data.samples import PICTURES, picture
from vitlib.models import create
from vitlib.trained import card
from vitlib.vit.model import ViT
from vitlib.widgets.frame import CONTROL, STYLE
from vitlib.widgets.grid_view import notice_html
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


class Pipeline(VBox):
    """The controls, and what is drawn each time one of them changes.

    It may be looked at with no kernel behind it: then a figure of all five stages takes its place.
    """

    def __init__(self, name: str, model: ViT, classes: Sequence[str] | None, patch: int) -> None:
        count = model.config.grid.tokens
        if not 1 <= patch <= count:
            raise ValueError(f"patch is {patch}: expected 1 to {count}, the patches of the model")
        self._model, self._classes = model, classes
        self._own = {} if name in PICTURES else {name: picture(name)}  # the learner's own, by its file's name
        stages = [(f"{number} · {stage}", number) for number, stage in enumerate(STAGES, start=1)]
        self.stage = SelectionSlider(options=stages, value=1, description="Stage", **CONTROL)
        self.choice = Dropdown(options=[*self._own, *PICTURES], value=name, description="Picture", **CONTROL)
        self.patch = IntSlider(value=patch, min=1, max=count, description="Follow patch", **CONTROL)
        self.upload = FileUpload(accept="image/*", description="Your own picture", layout={"width": "auto"})
        self.upload.tooltip = "A picture of up to 10 MB. For a larger one, write pipeline('its path')"
        self.back, self.next = Button(description="Back"), Button(description="Next page", button_style="primary")
        self.page, self.notice, self.image, self.words, self.panel = HTML(), HTML(), HTML(), HTML(), HTML()

        turn = HBox([self.back, self.next, self.upload], layout=Layout(flex_flow="row wrap"))
        side = VBox([self.stage, self.choice, self.patch, self.notice, self.words, self.image])
        side.layout = Layout(flex="1 1 300px", max_width="380px", min_width="0")
        self.panel.layout = Layout(flex="1 1 380px", min_width="0", margin="0")
        both = HBox([side, self.panel], layout=Layout(flex_flow="row wrap", grid_gap="12px 28px", width="100%"))
        super().__init__([HTML(STYLE), self.page, turn, both], layout=Layout(width="100%", max_width="1040px"))
        self.add_class("vit-explorer")

        self.choice.observe(self._open, "value")
        self.upload.observe(self._open_upload, "value")
        self.back.on_click(lambda _: self._turn(-1))
        self.next.on_click(lambda _: self._turn(1))
        for control in (self.stage, self.patch):
            control.observe(self._draw, "value")
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

    def _open_upload(self, change: Any) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        self.upload.value = ()  # so that the same file can be chosen again
        try:
            pixels = read_picture(bytes(file["content"]), file["name"])
        except ValueError as error:
            self.notice.value = notice_html(f"⚠ {error}. The picture that was shown stays.")
            return
        self._own = {file["name"]: pixels}
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

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        figure = still(self.view)
        shown = {"image/png": base64.b64encode(figure.png()).decode(), "text/plain": self.sentence}
        return super()._repr_mimebundle_(**kwargs) | shown, {"image/png": {"alt": figure.description}}
