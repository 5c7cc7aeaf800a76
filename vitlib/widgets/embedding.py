"""The embedding explorer: choose D and the filters, and see what tokens of D numbers keep of a picture."""

from typing import Any

from ipywidgets import HTML, IntSlider, SelectionSlider

from vitlib.data.samples import picture, shrink
from vitlib.plotting import Figure
from vitlib.vit.checks import require_one_of
from vitlib.widgets.embedding_view import EmbeddingView, canvas_html, row_html, sentence, still, words_html
from vitlib.widgets.explorer import (
    CONTROL,
    Explorer,
    buttons,
    column,
    flexible,
    on_change,
    picture_choice,
    side_by_side,
    unobserved,
)

LONGEST_SIDE = 256  # pixels of a picture: enough to recognise it, and every change shows at once
PATCHES = (4, 8, 16)  # pixels
FILTERS = ("PCA", "random")


def embedding_explorer(name: str = "chelsea", patch: int = 8, filters: str = "PCA", d: int = 8) -> "EmbeddingExplorer":
    """A widget that rebuilds a picture from its patch tokens, for any D.

    name: a bundled picture, one of `vitlib.data.samples`, or the path of your own; patch: the side of a patch, 4, 8 or
    16 pixels; filters: the rows of E, "PCA" or "random"; d: D, the numbers in a token, one of `widths(patch)`.

    >>> print(embedding_explorer("coffee", d=192).sentence[:83])
    Each patch of 8 × 8 pixels, 192 numbers, becomes a token of D = 192 numbers: as man

    Errors: those of `picture`; ValueError for a patch, filters or a d that the widget does not offer.
    """
    return EmbeddingExplorer(name, patch, filters, d)


def widths(patch: int) -> list[int]:
    """The values of D to choose from: every one up to 4, then in steps of a quarter to a half, up to P²·3.

    >>> widths(4)
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
    """
    length = 3 * patch**2
    return [1, 2, 3] + [d for power in range(2, 10) for d in (2**power, 3 * 2 ** (power - 1)) if d <= length]


class EmbeddingExplorer(Explorer):
    """A picture and what its tokens keep of it; without a kernel, both as a figure."""

    def __init__(self, name: str, patch: int, filters: str, d: int) -> None:
        pixels = picture(name)
        require_one_of("patch", patch, PATCHES)
        require_one_of("filters", filters, FILTERS)
        require_one_of("d", d, widths(patch))
        self._pixels = shrink(pixels, LONGEST_SIDE)

        self.choice = picture_choice(name)
        self.patch = buttons("Patch side", PATCHES, 64, value=patch)
        self.filters = buttons("Filters", FILTERS, 64, value=filters)
        self.d = SelectionSlider(options=widths(patch), value=d, description="D", **CONTROL)
        self.token = IntSlider(value=1, min=1, max=1, description="Look at patch", **CONTROL)
        self.canvas, self.words, self.row = HTML(), HTML(), HTML()

        side = column(self.choice, self.patch, self.filters, self.d, self.token, self.words)
        self.canvas.layout = flexible(420, 640, grow=2, margin="0")
        super().__init__(side_by_side(self.canvas, side), self.row)

        self._embed()
        self._follow_pixel(self.view.grid.height // 2, self.view.grid.width // 2)
        on_change(self._open, self.choice)
        on_change(self._cut, self.patch)
        on_change(self._embed, self.filters, self.d)
        on_change(self._follow, self.token)
        self._follow()

    @property
    def sentence(self) -> str:
        return sentence(self.view)

    def _open(self, change: Any) -> None:
        self._pixels = shrink(picture(change["new"]), LONGEST_SIDE)
        self._embed()

    def _cut(self, _: Any = None) -> None:
        """Another patch side: d stays as it is, or becomes the largest that there is, and the place is kept."""
        row, column = divmod(self.token.value - 1, self.view.grid.columns)
        top, left = row * self.view.patch, column * self.view.patch
        options = widths(self.patch.value)
        d = min(self.d.value, options[-1])
        with unobserved(self.d, self._embed):  # new options select their first for a moment
            self.d.options, self.d.value = options, d
        with self.token.hold_sync():  # the page gets the new last patch and the new place in one message
            self._embed()
            self._follow_pixel(top, left)

    def _embed(self, _: Any = None) -> None:
        """Embed and rebuild as the controls say."""
        self.view = EmbeddingView(self._pixels, self.patch.value, self.filters.value, self.d.value)
        self.token.max = self.view.grid.tokens  # a followed patch beyond the last one becomes the last
        self.words.value = words_html(self.view)
        self._follow()

    def _follow_pixel(self, y: int, x: int) -> None:
        grid, patch = self.view.grid, self.view.patch
        self.token.value = min(y // patch, grid.rows - 1) * grid.columns + min(x // patch, grid.columns - 1) + 1

    def _follow(self, _: Any = None) -> None:
        token = self.token.value
        self.canvas.value = canvas_html(self.view, token)
        self.row.value = row_html(self.view, token)

    def still(self) -> Figure:
        """The picture, the rebuilt one and the first filters."""
        return still(self.view)
