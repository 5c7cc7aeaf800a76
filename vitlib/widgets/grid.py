"""The grid explorer: choose a picture and a patch size, and see the numbered grid, the token row and N at once."""

from typing import Any

from ipywidgets import HTML, FileUpload, IntSlider
from jaxtyping import UInt8
from torch import Tensor

from vitlib.data.samples import PICTURES, picture, shrink
from vitlib.plotting import Figure, show_grid
from vitlib.vit.checks import require_one_of
from vitlib.widgets.explorer import (
    CONTROL,
    INSET,
    Explorer,
    buttons,
    column,
    flexible,
    notice_html,
    on_change,
    picture_choice,
    side_by_side,
    tick,
    uploaded,
)
from vitlib.widgets.grid_view import GridView, canvas_html, row_html, sentence, words_html

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


class GridExplorer(Explorer):
    """A picture under its grid; without a kernel, the same as a figure."""

    def __init__(self, name: str, patch: int, how: str) -> None:
        pixels = shrink(picture(name), LONGEST_SIDE)
        limit = min(LARGEST_PATCH, *pixels.shape[1:])
        if not 1 <= patch <= limit:
            raise ValueError(f"patch is {patch}: expected 1 to {limit} pixels for the picture {name!r}")
        require_one_of("how", how, HOW)
        self._pixels = pixels
        self._own = {} if name in PICTURES else {name: pixels}  # the learner's own picture, by its file's name

        self.choice = picture_choice(name)
        self.upload = FileUpload(accept="image/*", description="Upload", layout=INSET)
        self.upload.tooltip = "A picture of up to 10 MB. For a larger one, write grid_explorer('its path')"
        self.notice = HTML()
        self.patch_height = IntSlider(value=patch, min=1, max=limit, **CONTROL)
        self.patch_width = IntSlider(value=patch, min=1, max=limit, description="Patch width", **CONTROL)
        self.square = tick("square patches", True)
        self.how = buttons("Make it fit", HOW, 54, value=how)
        self.token = IntSlider(value=1, min=1, max=1, description="Follow token", **CONTROL)
        self.canvas, self.words, self.row = HTML(), HTML(), HTML()

        sides = self.patch_height, self.patch_width
        side = column(
            self.choice, self.upload, self.notice, *sides, self.square, self.how, self.token, self.words
        )  # fmt: skip
        self.canvas.layout = flexible(340, 560, margin="0")
        super().__init__(side_by_side(self.canvas, side), self.row)

        on_change(self._open_choice, self.choice)
        on_change(self._open_upload, self.upload)
        on_change(self._link_sides, self.square)
        on_change(self._cut, *sides, self.how)
        on_change(self._draw, self.token)
        self._link_sides()

    @property
    def sentence(self) -> str:
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

    def _open_upload(self, _: Any) -> None:
        own = uploaded(self.upload, self.notice)
        if own is None:
            return
        name, pixels = own
        shown = shrink(pixels, LONGEST_SIDE)
        self._own = {name: shown}
        self.choice.options = [*self._own, *PICTURES]  # a new list of options selects its first
        self._open(shown)
        if shown.shape != pixels.shape:
            sizes = [f"{image.shape[1]} × {image.shape[2]}" for image in (pixels, shown)]
            self.notice.value = notice_html(f"{name} is {sizes[0]} pixels: shrunk to {sizes[1]} to stay quick.")

    def still(self) -> Figure:
        """The numbered grid."""
        figure = show_grid(self.view.shown, self.view.grid)
        figure.description = self.sentence
        return figure
