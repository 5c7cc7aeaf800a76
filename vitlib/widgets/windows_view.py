"""What the window explorer shows: which tokens one token may attend to, what reaches it, and what that costs.

Pure functions; the controls are in windows.py.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from vitlib.backbones.windows import Windows
from vitlib.plotting import Figure, draw_picture
from vitlib.vit.patches import PatchGrid
from vitlib.widgets.attention_view import token_name
from vitlib.widgets.picker import panel
from vitlib.widgets.pictures import ORANGE, data_uri, draw_patch_box, grid_lines, patch_box

ELSEWHERE, ATTENDS, APART = 0, 1, 2  # another window; the chosen token attends to it; rolled into its window, masked


@lru_cache(maxsize=8)  # a click changes the token, not the windows
def attends(windows: Windows) -> Bool[Tensor, "N N"]:
    """Who attends to whom in a block with these windows.

    >>> attends(Windows(rows=2, columns=4, window=2))[1].int()
    tensor([1, 1, 0, 0, 1, 1, 0, 0], dtype=torch.int32)
    """
    order, tokens = windows.order(), windows.rows * windows.columns
    table = torch.zeros(tokens, tokens, dtype=torch.bool)
    table[order[:, :, None], order[:, None, :]] = ~windows.masked()
    return table


def states(windows: Windows, token: int) -> Int[Tensor, "N"]:
    """Of each token, what it is to `token` (0…N − 1): ATTENDS, APART or ELSEWHERE.

    >>> states(Windows(rows=2, columns=4, window=2, shift=1), token=3)  # rolled: its window's others came round
    tensor([2, 0, 0, 1, 2, 0, 0, 2])
    """
    order = windows.order()
    state = torch.full((windows.rows * windows.columns,), ELSEWHERE)
    state[order[(order == token).any(dim=1)].flatten()] = APART
    return state.masked_fill(attends(windows)[token], ATTENDS)


def reach(plain: Windows, shifted: Windows, token: int, blocks: int) -> Bool[Tensor, "N"]:
    """Which tokens can have influenced `token` after so many blocks, plain and shifted by turns.

    From the last block back to the first: those that the token attends to, those that they attended to, and so on.

    >>> corner = Windows(4, 4, window=2), Windows(4, 4, window=2, shift=1)
    >>> [reach(*corner, token=5, blocks=blocks).sum().item() for blocks in (1, 2)]
    [4, 16]
    """
    tables = attends(plain), attends(shifted)
    reached = torch.arange(plain.rows * plain.columns) == token
    for block in reversed(range(blocks)):
        reached = tables[block % 2][reached].any(dim=0)
    return reached


@dataclass(frozen=True, eq=False)
class WindowView:
    """One choice of the controls, and what follows from it."""

    pixels: UInt8[Tensor, "3 H W"]
    plain: Windows
    shifted: Windows
    token: int  # 0…N − 1
    blocks: int

    @property
    def tokens(self) -> int:
        """N."""
        return self.plain.rows * self.plain.columns

    @property
    def grid(self) -> PatchGrid:
        """The tokens over the picture's pixels."""
        height, width = self.pixels.shape[1:]
        return PatchGrid(height, width, (height // self.plain.rows, width // self.plain.columns))

    @cached_property
    def panels(self) -> list[dict[str, Any]]:
        """The pictures from left to right: caption, each token's state, and the borders of the windows."""
        shift = self.shifted.shift
        after = f"after {self.blocks} block{'s' * (self.blocks > 1)}: what reached it"
        reached = reach(self.plain, self.shifted, self.token, self.blocks).long()
        moved = states(self.shifted, self.token)
        title = f"a shifted block: moved by {shift}" + "; orange: masked" * bool((moved == APART).any())
        return [
            _panel("a plain block", states(self.plain, self.token), self.plain),
            _panel(title, moved, self.shifted),
            _panel(after, reached, None),
        ]

    @cached_property
    def counts(self) -> tuple[int, int, int, int]:
        """Tokens that the chosen one attends to in a plain and in a shifted block; its window's others; its reach."""
        plain, shifted, reached = (torch.tensor(panel["states"]) for panel in self.panels)
        among = [int((each == ATTENDS).sum()) for each in (plain, shifted, reached)]
        return among[0], among[1], int((shifted == APART).sum()), among[2]

    @property
    def scores(self) -> tuple[int, int]:
        """Scores that one head computes for one picture: inside windows, and with all tokens."""
        return self.tokens * self.plain.area, self.tokens**2


def _panel(title: str, state: Int[Tensor, "N"], windows: Windows | None) -> dict[str, Any]:
    return {"title": title, "states": state.tolist(), "borders": borders(windows) if windows else []}


def borders(windows: Windows) -> list[list[int]]:
    """The lines between windows, [x1, y1, x2, y2] in tokens, where they lie in the picture before it rolls.

    >>> borders(Windows(rows=4, columns=4, window=2, shift=1))
    [[1, 0, 1, 4], [3, 0, 3, 4], [0, 1, 4, 1], [0, 3, 4, 3]]
    """
    rows, columns, (high, wide), (down, right) = windows.rows, windows.columns, windows.sides, windows.shifts
    upright = [[x, 0, x, rows] for x in range(right or wide, columns, wide)]
    return upright + [[0, y, columns, y] for y in range(down or high, rows, high)]


def panels_html(view: WindowView) -> str:
    """The pictures: clear where the chosen token attends, pale where not, orange and struck out where it is masked."""
    size = (view.pixels.shape[1], view.pixels.shape[2])
    grid = view.grid
    picture = data_uri(view.pixels, longest=max(size))
    drawn = []
    for number, each in enumerate(view.panels):
        lines = "".join(f"M{x1} {y1}L{x2} {y2}" for x1, y1, x2, y2 in each["borders"])
        shades = (
            f'<g transform="scale({grid.patch_width} {grid.patch_height})">'
            f'<path d="{_squares(each["states"], ELSEWHERE, grid)}" fill="white" fill-opacity=".75"/>'
            f'<path d="{_squares(each["states"], APART, grid)}" fill="{ORANGE}" fill-opacity=".8"/>'
            f'<path d="{_squares(each["states"], APART, grid, "m0 1l1 -1m0 1")}" stroke="black" stroke-width=".1"/>'
            f'<path d="{lines}" stroke="black" stroke-width="{grid.columns / 130:.3f}"/></g>'
        )
        over = grid_lines(grid, 0.25) + shades + patch_box(view.token + 1, grid)
        drawn.append(panel(number, each["title"], picture, size, over))
    return "".join(drawn)


def _squares(states: list[int], state: int, grid: PatchGrid, shape: str = "h1v1h-1z") -> str:
    """A path of the tokens in a state, in a unit of tokens."""
    places = (divmod(token, grid.columns) for token, each in enumerate(states) if each == state)
    return "".join(f"M{x} {y}{shape}" for y, x in places)


def sentence(view: WindowView) -> str:
    """What is shown, in words."""
    plain, shifted, apart, reached = view.counts
    rows, columns, w, shift = view.plain.rows, view.plain.columns, view.plain.window, view.shifted.shift
    name = token_name(view.token + 1, PatchGrid(rows, columns, 1)).replace("patch", "token")
    words = f"{name[0].upper()}{name[1:]} attends to the {plain} tokens of its {w} × {w} window in a plain block. "
    if not shift:
        words += "With shift 0 the next block has the same windows, so it attends to the same tokens again. "
    elif apart:
        words += f"In a shifted block it attends to {shifted}: {apart} more roll into its window from the opposite "
        words += "edge, and the mask keeps them apart. "
    else:
        words += f"In a shifted block it attends to the {shifted} of a window that lies across the old borders. "
    share = 100 * reached / view.tokens
    words += f"After {view.blocks} block{'s' * (view.blocks > 1)} it can know of {reached} of {view.tokens} tokens, "
    inside, full = view.scores
    times = full // inside
    fewer = f"{times} times fewer" if times > 1 else "as many: one window is the whole grid"
    return words + f"{share:.0f} %. A head computes {inside:,} scores for a picture, not {full:,}: {fewer}."


def words_html(view: WindowView) -> str:
    """The numbers large, and the sentence."""
    plain, shifted, apart, reached = view.counts
    inside, full = view.scores
    tiles = [
        (f"{plain}", "attended to in a plain block", ""),
        (f"{shifted}", f"in a shifted one; {apart} masked", " class=vit-left" if apart else ""),
        (f"{reached} of {view.tokens}", f"can have reached it after {view.blocks} block{'s' * (view.blocks > 1)}", ""),
        (f"1/{full // inside}", f"of the scores: {inside:,} for {full:,}", ""),
    ]
    cells = "".join(f"<div{kind}><b>{number}</b>{meaning}</div>" for number, meaning, kind in tiles)
    return (
        f'<div class="vit-words"><div class="vit-tiles">{cells}</div><p aria-live="polite">{sentence(view)}</p></div>'
    )


def still(view: WindowView) -> Figure:
    """The explorer without a kernel: its three pictures side by side."""
    figure = Figure(figsize=(8.0, 3.1), layout="constrained")
    height, width = view.pixels.shape[1:]
    rows, columns = view.plain.rows, view.plain.columns
    grid = view.grid
    high, wide = grid.patch_height, grid.patch_width
    for axes, each in zip(figure.subplots(1, 3), view.panels, strict=True):
        draw_picture(axes, view.pixels)
        state = torch.tensor(each["states"]).reshape(rows, columns)
        shade = torch.zeros(rows, columns, 4)
        shade[state == ELSEWHERE] = torch.tensor([1, 1, 1, 0.75])
        shade[state == APART] = torch.tensor([0.9, 0.62, 0, 0.8])
        axes.imshow(shade.numpy(), extent=(0, width, height, 0), interpolation="nearest")
        for x1, y1, x2, y2 in each["borders"]:
            axes.plot([wide * x1, wide * x2], [high * y1, high * y2], color="black", linewidth=0.8)
        draw_patch_box(axes, view.token + 1, grid)
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_title(each["title"], fontsize=9)
        axes.label_outer()
    figure.description = f"The same picture three times, pale where nothing reaches the chosen token. {sentence(view)}"
    return figure
