"""The window explorer: choose a grid, windows and a token, and see whom it hears, in one block and after several."""

import base64
from pathlib import Path
from typing import Any

import traitlets
from anywidget import AnyWidget
from ipywidgets import HTML, Dropdown, HBox, IntSlider, Layout, SelectionSlider, VBox

from vitlib.backbones.windows import Windows
from vitlib.data.samples import PICTURES, picture
from vitlib.widgets.attention_view import middle
from vitlib.widgets.frame import CONTROL, STYLE
from vitlib.widgets.windows_view import WindowView, sentence, source, still, words_html

GRIDS = (8, 12, 16, 24)  # tokens along a side
BLOCKS = 8  # at most
SIDE = 288  # pixels of the picture that is shown: a multiple of every grid


def window_explorer(
    name: str = "chelsea", grid: int = 16, window: int = 4, shift: int | None = None, blocks: int = 2
) -> "WindowExplorer":
    """A widget that shows what windows let a token hear: click one, and see whom it attends to, plain and shifted.

    name: a bundled picture, one of `vitlib.data.samples`, or the path of your own; grid: tokens along a side, 8, 12, 16
    or 24; window: tokens along a window's side, which divides the grid; shift: of every second block, in tokens (None:
    half a window); blocks: how many, up to 8.

    >>> window_explorer(grid=8, window=4, blocks=2).sentence
    'Token 37 (row 5, column 5) attends to the 16 tokens of its 4 × 4 window in a plain block. ...'

    Errors: those of `picture` and of Windows; ValueError for a grid or a number of blocks that the widget
    does not offer, and for windows of one token.
    """
    return WindowExplorer(name, grid, window, window // 2 if shift is None else shift, blocks)


class TokenPicker(AnyWidget):
    """The picture under its tokens, once for each panel. The browser sets `chosen`, Python all the rest."""

    _esm = Path(__file__).with_name("windows.js").read_text(encoding="utf-8")
    picture = traitlets.Unicode().tag(sync=True)  # address of an image
    rows = traitlets.Int().tag(sync=True)  # tokens
    columns = traitlets.Int().tag(sync=True)  # tokens
    chosen = traitlets.Int().tag(sync=True)  # 1…N
    panels: traitlets.List[Any] = traitlets.List().tag(sync=True)  # as in WindowView
    words = traitlets.Unicode().tag(sync=True)  # the same for those who cannot see it


class WindowExplorer(VBox):
    """The controls, and what is drawn each time one of them changes.

    It may be looked at with no kernel behind it: then the figure and the sentence that it began with take its place.
    """

    def __init__(self, name: str, grid: int, window: int, shift: int, blocks: int) -> None:
        if grid not in GRIDS:
            raise ValueError(f"grid is {grid}: expected one of {', '.join(map(str, GRIDS))} tokens a side")
        if window not in windows_of(grid):
            raise ValueError(f"window is {window}: a grid of {grid} takes {', '.join(map(str, windows_of(grid)))}")
        Windows(grid, grid, window, shift)  # refuses a shift that is too far
        if not 1 <= blocks <= BLOCKS:
            raise ValueError(f"blocks is {blocks}: expected 1 to {BLOCKS}")
        own = () if name in PICTURES else (name,)
        self.choice = Dropdown(options=[*own, *PICTURES], value=name, description="Picture", **CONTROL)
        self.grid = SelectionSlider(options=GRIDS, value=grid, description="Tokens a side", **CONTROL)
        self.window = SelectionSlider(options=windows_of(grid), value=window, description="Window side", **CONTROL)
        self.shift = IntSlider(value=shift, min=0, max=window - 1, description="Shift", **CONTROL)
        self.blocks = IntSlider(value=blocks, min=1, max=BLOCKS, description="Blocks", **CONTROL)
        middle_token = grid // 2 * grid + grid // 2 + 1
        self.canvas, self.words = TokenPicker(chosen=middle_token, rows=grid, columns=grid), HTML()
        wide = Layout(flex="1 1 300px", min_width="0")
        left = VBox([self.choice, self.grid, self.window], layout=wide)
        right = VBox([self.shift, self.blocks], layout=wide)
        both = HBox([left, right], layout=Layout(flex_flow="row wrap", grid_gap="0 28px", width="100%"))
        super().__init__([HTML(STYLE), both, self.canvas, self.words], layout=Layout(max_width="960px"))
        self.add_class("vit-explorer")

        self.choice.observe(self._open, "value")
        self.grid.observe(self._cut, "value")
        self.window.observe(self._move, "value")
        for control in (self.shift, self.blocks):
            control.observe(self._draw, "value")
        self.canvas.observe(self._draw, "chosen")
        self._open()

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        return sentence(self.view)

    def _open(self, _: Any = None) -> None:
        self._pixels = middle(picture(self.choice.value), (SIDE, SIDE))
        self.canvas.picture = source(self._pixels)
        self._draw()

    def _cut(self, _: Any = None) -> None:
        """Another grid: the same place in the picture stays chosen, and the window where it still divides the grid."""
        before, after = self.canvas.rows, self.grid.value
        row, column = (place * after // before for place in divmod(self.canvas.chosen - 1, before))
        fits = windows_of(after)
        window = min(fits, key=lambda side: abs(side - self.window.value))
        with self.canvas.hold_sync():  # one message: the parts belong together
            self.canvas.rows = self.canvas.columns = after
            self.canvas.unobserve(self._draw, "chosen")
            self.canvas.chosen = row * after + column + 1
            self.canvas.observe(self._draw, "chosen")
            self.window.unobserve(self._move, "value")
            self.window.options = fits  # a new list of options selects its first
            self.window.value = window
            self.window.observe(self._move, "value")
            self._move()

    def _move(self, _: Any = None) -> None:
        """Other windows: shifted by half of one, until the slider says otherwise."""
        self.shift.unobserve(self._draw, "value")
        self.shift.max = self.window.value - 1
        self.shift.value = self.window.value // 2
        self.shift.observe(self._draw, "value")
        self._draw()

    def _draw(self, _: Any = None) -> None:
        side, window = self.grid.value, self.window.value
        plain, shifted = (Windows(side, side, window, shift) for shift in (0, self.shift.value))
        self.view = WindowView(self._pixels, plain, shifted, self.canvas.chosen - 1, self.blocks.value)
        with self.canvas.hold_sync():
            self.canvas.words, self.canvas.panels = self.sentence, self.view.panels
        self.words.value = words_html(self.view)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        figure = still(self.view)
        kept = {"image/png": base64.b64encode(figure.png()).decode(), "text/plain": self.sentence}
        return super()._repr_mimebundle_(**kwargs) | kept, {"image/png": {"alt": figure.description}}


def windows_of(grid: int) -> list[int]:
    """Sides of windows that divide a grid's, from 2 tokens.

    >>> windows_of(12)
    [2, 3, 4, 6, 12]
    """
    return [side for side in range(2, grid + 1) if grid % side == 0]
