"""The grid explorer: choose a picture and a patch size, and see the numbered grid, the token row and N at once."""

import base64
from typing import Any

from ipywidgets import HTML, Checkbox, Dropdown, FileUpload, HBox, IntSlider, Layout, ToggleButtons, VBox
from jaxtyping import UInt8
from torch import Tensor

from vitlib.data.decode import read_picture
from vitlib.data.samples import PICTURES, picture, shrink
from vitlib.plotting import show_grid
from vitlib.widgets.frame import CONTROL, STYLE
from vitlib.widgets.grid_view import GridView, canvas_html, notice_html, row_html, sentence, words_html

LARGEST_PATCH = 128  # pixels
HOW = ("crop", "pad", "resize")
LONGEST_SIDE = 2048  # pixels of a picture: a larger one is shrunk, so that every change shows at once


def grid_explorer(name: str = "astronaut", patch: int = 64, how: str = "crop") -> "GridExplorer":
    """A widget that shows which tokens a picture becomes, for any picture, patch size and way to make it fit.

    name: a bundled picture, one of `vitlib.data.samples`, or the path of your own; patch: side in pixels, up to
    128 and to the picture's shorter side; how: what is done with pixels that fill no whole patch, "crop", "pad"
    or "resize".

    >>> print(grid_explorer("coffee", patch=100).sentence)
    400 × 600 pixels in patches of 100 × 100: 4 rows × 6 columns = 24 patch tokens, no pixel left over.

    Errors: those of `picture`; ValueError for a patch or a way that the widget does not offer.
    """
    return GridExplorer(name, patch, how)


class GridExplorer(VBox):
    """The controls, and what is drawn each time one of them changes.

    It may be looked at with no kernel behind it, on a page or a code host: then the figure and the sentence that
    it began with take its place.
    """

    def __init__(self, name: str, patch: int, how: str) -> None:
        pixels = shrink(picture(name), LONGEST_SIDE)
        limit = min(LARGEST_PATCH, *pixels.shape[1:])
        if not 1 <= patch <= limit:
            raise ValueError(f"patch is {patch}: expected 1 to {limit} pixels for the picture {name!r}")
        if how not in HOW:
            raise ValueError(f"how is {how!r}: expected one of {', '.join(map(repr, HOW))}")
        self._pixels = pixels
        self._own = {} if name in PICTURES else {name: pixels}  # the learner's own picture, by its file's name

        inset = {"margin": "2px 2px 2px 100px", "width": "auto"}
        self.choice = Dropdown(options=[*self._own, *PICTURES], value=name, description="Picture", **CONTROL)
        self.upload = FileUpload(accept="image/*", description="Upload", layout=inset)
        self.upload.tooltip = "A picture of up to 10 MB. For a larger one, write grid_explorer('its path')"
        self.notice = HTML()
        self.patch_height = IntSlider(value=patch, min=1, max=limit, **CONTROL)
        self.patch_width = IntSlider(value=patch, min=1, max=limit, description="Patch width", **CONTROL)
        self.square = Checkbox(value=True, description="square patches", indent=False, layout=inset)
        self.how = ToggleButtons(options=HOW, value=how, description="Make it fit", **CONTROL)
        self.how.style.button_width = "54px"
        self.how.layout = Layout(display="flex", flex_flow="row nowrap", width="auto")
        self.token = IntSlider(value=1, min=1, max=1, description="Follow token", **CONTROL)
        self.canvas, self.words, self.row = HTML(), HTML(), HTML()

        controls = [self.choice, self.upload, self.notice, self.patch_height, self.patch_width, self.square, self.how]
        side = VBox([*controls, self.token, self.words], layout=Layout(flex="1 1 300px", min_width="0"))
        self.canvas.layout = Layout(flex="1 1 340px", max_width="560px", min_width="0", margin="0")
        both = HBox([self.canvas, side], layout=Layout(flex_flow="row wrap", grid_gap="12px 28px", width="100%"))
        super().__init__([HTML(STYLE), both, self.row], layout=Layout(width="100%", max_width="1040px"))
        self.add_class("vit-explorer")

        self.choice.observe(self._open_choice, "value")
        self.upload.observe(self._open_upload, "value")
        self.square.observe(self._link_sides, "value")
        for control in (self.patch_height, self.patch_width, self.how):
            control.observe(self._cut, "value")
        self.token.observe(self._draw, "value")
        self._link_sides()

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        return sentence(self.view)

    def _link_sides(self, _: Any = None) -> None:
        """One slider for both sides of a square patch, or one for each."""
        square = self.square.value
        self.patch_height.description = "Patch side" if square else "Patch height"
        self.patch_width.layout.display = "none" if square else None
        self.patch_width.value = self.patch_height.value
        self._open(self._pixels)

    def _open(self, pixels: UInt8[Tensor, "3 H W"]) -> None:
        """Take a picture. The sliders come first, so that no patch is ever larger than the picture."""
        height, width = pixels.shape[1:]
        self.patch_height.max = min(LARGEST_PATCH, height, width if self.square.value else height)
        self.patch_width.max = min(LARGEST_PATCH, width)
        self._pixels = pixels
        self._cut()

    def _cut(self, _: Any = None) -> None:
        """Cut the picture as the controls say."""
        self.notice.value = ""
        height = self.patch_height.value
        width = height if self.square.value else self.patch_width.value
        self.view = GridView(self._pixels, (height, width), self.how.value)
        self.token.max = self.view.tokens  # a followed token beyond the last one becomes the last
        self._draw()

    def _draw(self, _: Any = None) -> None:
        token = self.token.value
        self.canvas.value = canvas_html(self.view, token)
        self.words.value = words_html(self.view, token)
        self.row.value = row_html(self.view, token)

    def _open_choice(self, change: Any) -> None:
        name = change["new"]
        self._open(self._own[name] if name in self._own else picture(name))

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
        shown = shrink(pixels, LONGEST_SIDE)
        self._own = {file["name"]: shown}
        self.choice.options = [*self._own, *PICTURES]  # a new list of options selects its first
        self._open(shown)
        if shown.shape != pixels.shape:
            sizes = [f"{image.shape[1]} × {image.shape[2]}" for image in (pixels, shown)]
            self.notice.value = notice_html(f"{file['name']} is {sizes[0]} pixels: shrunk to {sizes[1]} to stay quick.")

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        picture = base64.b64encode(show_grid(self.view.shown, self.view.grid).png()).decode()
        still = {"image/png": picture, "text/plain": self.sentence}
        return super()._repr_mimebundle_(**kwargs) | still, {"image/png": {"alt": self.sentence}}
