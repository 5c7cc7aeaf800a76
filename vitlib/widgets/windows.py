"""The window explorer: choose a grid, windows and a token, and see what reaches it, in one block and after several."""

from typing import Any

from ipywidgets import HTML, IntSlider, SelectionSlider

from vitlib.backbones.windows import Windows
from vitlib.data.samples import picture
from vitlib.plotting import Figure
from vitlib.widgets.attention_view import middle
from vitlib.widgets.explorer import CONTROL, Explorer, column, on_change, picture_choice, side_by_side, unobserved
from vitlib.widgets.picker import Picker
from vitlib.widgets.windows_view import WindowView, panels_html, sentence, still, words_html

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


class WindowExplorer(Explorer):
    """A picture under its windows; without a kernel, its three views as a figure."""

    def __init__(self, name: str, grid: int, window: int, shift: int, blocks: int) -> None:
        if grid not in GRIDS:
            raise ValueError(f"grid is {grid}: expected one of {', '.join(map(str, GRIDS))} tokens a side")
        if window not in windows_of(grid):
            raise ValueError(f"window is {window}: a grid of {grid} takes {', '.join(map(str, windows_of(grid)))}")
        Windows(grid, grid, window, shift)  # refuses a shift that is too far
        if not 1 <= blocks <= BLOCKS:
            raise ValueError(f"blocks is {blocks}: expected 1 to {BLOCKS}")
        self.choice = picture_choice(name)
        self.grid = SelectionSlider(options=GRIDS, value=grid, description="Tokens a side", **CONTROL)
        self.window = SelectionSlider(options=windows_of(grid), value=window, description="Window side", **CONTROL)
        self.shift = IntSlider(value=shift, min=0, max=window - 1, description="Shift", **CONTROL)
        self.blocks = IntSlider(value=blocks, min=1, max=BLOCKS, description="Blocks", **CONTROL)
        middle_token = grid // 2 * grid + grid // 2 + 1
        self.canvas = Picker(label="Chosen token", chosen=middle_token, rows=grid, columns=grid)
        self.words = HTML()
        left, right = column(self.choice, self.grid, self.window), column(self.shift, self.blocks)
        super().__init__(side_by_side(left, right), self.canvas, self.words, width=960)

        on_change(self._open, self.choice)
        on_change(self._cut, self.grid)
        on_change(self._move, self.window)
        on_change(self._draw, self.shift, self.blocks)
        on_change(self._draw, self.canvas, trait="chosen")
        self.canvas.on_msg(self._on_message)
        self._open()

    @property
    def sentence(self) -> str:
        return sentence(self.view)

    def _open(self, _: Any = None) -> None:
        self._pixels = middle(picture(self.choice.value), (SIDE, SIDE))
        self._draw()

    def _cut(self, _: Any = None) -> None:
        """Another grid: the same place in the picture stays chosen, and the window where it still divides the grid."""
        before, after = self.canvas.rows, self.grid.value
        row, at = (place * after // before for place in divmod(self.canvas.chosen - 1, before))
        fits = windows_of(after)
        window = min(fits, key=lambda side: abs(side - self.window.value))
        with self.canvas.hold_sync():  # one message: the parts belong together
            self.canvas.rows = self.canvas.columns = after
            with unobserved(self.canvas, self._draw, "chosen"):
                self.canvas.chosen = row * after + at + 1
            with unobserved(self.window, self._move):
                self.window.options = fits  # a new list of options selects its first
                self.window.value = window
            self._move()

    def _move(self, _: Any = None) -> None:
        """Other windows: shifted by half of one, until the slider says otherwise."""
        with unobserved(self.shift, self._draw):
            self.shift.max = self.window.value - 1
            self.shift.value = self.window.value // 2
        self._draw()

    def _on_message(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """A click in any of the pictures chooses a token."""
        self.canvas.chosen = message["token"]

    def _draw(self, _: Any = None) -> None:
        side, window = self.grid.value, self.window.value
        plain, shifted = (Windows(side, side, window, shift) for shift in (0, self.shift.value))
        self.view = WindowView(self._pixels, plain, shifted, self.canvas.chosen - 1, self.blocks.value)
        with self.canvas.hold_sync():
            self.canvas.words, self.canvas.html = self.sentence, panels_html(self.view)
        self.words.value = words_html(self.view)

    def still(self) -> Figure:
        """Its three pictures side by side."""
        return still(self.view)


def windows_of(grid: int) -> list[int]:
    """Sides of windows that divide a grid's, from 2 tokens.

    >>> windows_of(12)
    [2, 3, 4, 6, 12]
    """
    return [side for side in range(2, grid + 1) if grid % side == 0]
