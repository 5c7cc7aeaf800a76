"""Chapter 8: attention inside windows, and how shifted windows let neighbours talk.

All N tokens looking at all N costs N² scores. Where each looks at the M tokens of its own window, it is N · M: twice
the picture's side is four times the work, not sixteen. The next block shifts the windows, so that tokens on both sides
of a border meet there. Source: Liu et al., 2021, "Swin transformer", sections 3.1 and 3.2.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from vitlib.backbones.biased_attention import attend_with_bias
from vitlib.vit.attention import EVERY, Attention, split_heads
from vitlib.vit.tables import WithTables


@dataclass(frozen=True)
class Windows:
    """A grid of tokens cut into windows; with a shift, the grid rolls up and left before it is cut.

    Rolling is cyclic: what leaves at the top comes back at the bottom. So the number of windows stays, and those at
    the end hold tokens that were never neighbours; `masked` names them.

    >>> windows = Windows(rows=4, columns=4, window=2, shift=1)
    >>> windows.count, windows.area
    (4, 4)
    >>> windows.cut(torch.arange(16)[None]).tolist()
    [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]

    Where the window does not divide the grid, `pad` says how the last windows are filled with zeros: "before" or
    "after" the grid rolls. Without it such a grid is refused.

    Errors: ValueError for a window larger than the grid or that does not divide it, and for a shift that is not
    smaller than the window.
    """

    rows: int  # tokens, from top to bottom of the grid
    columns: int  # tokens
    window: int | tuple[int, int]  # tokens: the side of a window, or its height and width
    shift: int | tuple[int, int] = 0  # tokens, up and to the left
    pad: Literal["before", "after"] | None = None  # zeros at the bottom and on the right, before or after rolling

    def __post_init__(self) -> None:
        grid = f"{self.rows} × {self.columns} tokens"
        short = min(self.rows, self.columns)
        if min(self.sides) < 1 or (self.pad is None and self._beyond):
            raise ValueError(f"window is {self.window} tokens, and the grid has {grid}: choose 1 to {short}")
        if self.pad is None and self.padded != (self.rows, self.columns):
            fits = [w for w in range(1, short + 1) if self.rows % w == 0 and self.columns % w == 0]
            raise ValueError(
                f"the grid of {grid} is no multiple of window {self.window}; choose {', '.join(map(str, fits))}, or "
                "pictures of another size"
            )
        for shift, side in zip(self.shifts, self.sides, strict=True):
            if not 0 <= shift < side:
                raise ValueError(f"shift is {self.shift}: expected 0 to {side - 1}, less than the window")

    @property
    def sides(self) -> tuple[int, int]:
        """A window's height and width, in tokens."""
        return self.window if isinstance(self.window, tuple) else (self.window, self.window)

    @property
    def shifts(self) -> tuple[int, int]:
        """Tokens that the grid rolls up, and to the left."""
        return self.shift if isinstance(self.shift, tuple) else (self.shift, self.shift)

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns of the grid of whole windows."""
        (rows, columns), (high, wide) = (self.rows, self.columns), self.sides
        return -(-rows // high) * high, -(-columns // wide) * wide

    @property
    def count(self) -> int:
        """W, the number of windows."""
        return self.padded[0] * self.padded[1] // self.area

    @property
    def area(self) -> int:
        """M, the tokens in one window."""
        return self.sides[0] * self.sides[1]

    def cut(self, x: Shaped[Tensor, "B N *D"]) -> Shaped[Tensor, "V M *D"]:
        """The tokens of a grid, window by window; V = B · W."""
        (up, left), (high, wide) = self.shifts, self.sides
        x = x.unflatten(1, (self.rows, self.columns))
        x = self._fill(x) if self.pad == "before" else x
        x = x.roll((-up, -left), dims=(1, 2))
        x = self._fill(x) if self.pad == "after" else x
        return _cut(x, high, wide)

    def join(self, x: Shaped[Tensor, "V M *D"]) -> Shaped[Tensor, "B N *D"]:
        """The tokens back in their places, without the zeros: the inverse of `cut`."""
        (up, left), (high, wide), (rows, columns) = self.shifts, self.sides, self.padded
        x = x.flatten(0, 1).unflatten(0, (-1, rows // high, columns // wide, high, wide)).transpose(2, 3)
        x = x.flatten(3, 4).flatten(1, 2)  # B R w C w D → B rows columns D
        x = x[:, : self.rows, : self.columns] if self.pad == "after" else x
        return x.roll((up, left), dims=(1, 2))[:, : self.rows, : self.columns].flatten(1, 2)

    def order(self) -> Int[Tensor, "W M"]:
        """The index of the token at each place of each window; N for a padded zero. To index by it equals `cut`."""
        n = self.rows * self.columns
        numbers = self.cut(torch.arange(1, n + 1)[None]) - 1  # -1 for a zero
        return numbers % (n + 1)

    def masked(self) -> Bool[Tensor, "W M M"]:
        """True for two tokens that must not attend to each other: they share a window only because the grid rolled."""
        (rows, columns), (up, left) = self.padded, self.shifts
        over = 2 * (torch.arange(rows) >= rows - up)[:, None] + (torch.arange(columns) >= columns - left)
        rolled = _cut(over[None], *self.sides)  # W M: which border a token rolled over, if any
        return rolled[:, :, None] != rolled[:, None, :]

    @property
    def _beyond(self) -> bool:
        return self.sides[0] > self.rows or self.sides[1] > self.columns

    def _fill(self, x: Shaped[Tensor, "B R C *D"]) -> Shaped[Tensor, "B R2 C2 *D"]:
        down, right = self.padded[0] - self.rows, self.padded[1] - self.columns
        return F.pad(x, [0, 0] * (x.ndim - 3) + [0, right, 0, down]) if down or right else x


def _cut(x: Shaped[Tensor, "B R C *D"], high: int, wide: int) -> Shaped[Tensor, "V M *D"]:
    x = x.unflatten(2, (-1, wide)).unflatten(1, (-1, high))  # B R w C w D
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)  # B R C w w D → B·W M D


def relative_index(window: int | tuple[int, int], table: int | None = None) -> Int[Tensor, "M M"]:
    """For each pair of tokens in a window: the row of the table that belongs to their distance, (dy, dx).

    Distances run from −(w − 1) to w − 1 in both directions, so the table has (2w − 1)² rows. A table may be made for
    a larger window (`table`, its side): smaller windows read its middle.

    >>> relative_index(2)[0].tolist()  # from the first token: to itself, its right, below, across
    [4, 3, 1, 0]
    """
    high, wide = window if isinstance(window, tuple) else (window, window)
    largest = table or max(high, wide)
    place = torch.arange(high * wide)
    y, x = place // wide, place % wide
    down, right = (each[:, None] - each[None, :] + largest - 1 for each in (y, x))  # M M, from 0
    return down * (2 * largest - 1) + right


class WindowAttention(WithTables, Attention):
    """Self-attention inside windows, with a learned bias for each distance: [B, N, D] → [B, N, D].

    In a ViT's block it replaces Attention; the block is Swin's then.

    >>> attention = WindowAttention(embed_dim=96, num_heads=3, windows=Windows(14, 14, window=7, shift=3))
    >>> attention(torch.zeros(2, 196, 96)).shape
    torch.Size([2, 196, 96])

    Errors: those of Attention. Source: Liu et al., 2021, equations 3 and 4.
    """

    order: Tensor
    places: Tensor
    index: Tensor
    attn_mask: Tensor | None

    def __init__(
        self, embed_dim: int, num_heads: int, windows: Windows, fused: bool | None = None, table: int | None = None
    ) -> None:
        super().__init__(embed_dim, num_heads, fused)
        self.windows, self.table = windows, table or max(windows.sides)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * self.table - 1) ** 2, num_heads))
        self.keep_tables()

    def tables(self) -> dict[str, Tensor | None]:
        """Indices and masks, computed from the windows; no checkpoint stores them."""
        windows = self.windows
        order, masked = windows.order().flatten(), windows.masked()[:, None]  # W·M, W 1 M M
        return {
            "order": order,
            "places": order.argsort()[: windows.rows * windows.columns],  # without the zeros, which come last
            "index": relative_index(windows.sides, self.table).flatten(),
            "attn_mask": torch.zeros(masked.shape).masked_fill(masked, -torch.inf) if any(windows.shifts) else None,
        }

    def forward(self, x: Float[Tensor, "B N D"], rows: slice = EVERY) -> Float[Tensor, "B Q D"]:
        q, k, v = split_heads(self.qkv(self.cut(x)), self.heads, parts=3)  # V h M d, each
        found = attend_with_bias(q, k, v, self.bias(), self.fused)
        found = self.proj(found.transpose(1, 2).flatten(2))  # V h M d → V M D
        return found.reshape(x.shape[0], -1, x.shape[2]).index_select(1, self.constant("places", x))[:, rows]

    def cut(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "V M D"]:
        """The tokens, window by window: `Windows.cut` in one pass over memory."""
        order = self.constant("order", x)
        filled = F.pad(x, (0, 0, 0, 1)) if len(order) > len(self.places) else x  # token N is the zero
        return filled.index_select(1, order).reshape(-1, self.windows.area, x.shape[2])

    def maps(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B W h M M"]:
        """The attention maps, window by window; every row sums to 1."""
        q, k, _ = split_heads(self.qkv(self.cut(x)), self.heads, parts=3)  # V h M d
        with torch.autocast(x.device.type, enabled=False):
            q, k = (each.float().unflatten(0, (-1, self.windows.count)) for each in (q, k))  # B W h M d
            return ((q / q.shape[-1] ** 0.5) @ k.transpose(-2, -1) + self.bias().float()).softmax(dim=-1)

    def bias(self) -> Float[Tensor, "W h M M"]:
        """What is added to the scores: the bias of the distance, and −∞ for tokens that only rolled together."""
        m = self.windows.area
        learned = self.relative_position_bias_table
        bias = learned.index_select(0, self.constant("index", learned)).T.reshape(1, self.heads, m, m)
        return bias if self.attn_mask is None else bias + self.constant("attn_mask", learned)

    def weights(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B h N N"]:
        """The maps over the whole grid: the same attention without cutting; other windows have the bias −∞.

        Where windows are filled with zeros, tokens attend to these as well: their part is left out, and the rows sum
        to less than 1.
        """
        n = x.shape[1]
        order = self.constant("order", x)
        zeros = len(order) - n
        q, k, _ = split_heads(self.qkv(F.pad(x, (0, 0, 0, zeros))), self.heads, parts=3)  # B h N+Z d
        token = order.clone()  # each zero has a place of its own
        token[order == n] = torch.arange(n, n + zeros, device=x.device)
        token = token.unflatten(0, (-1, self.windows.area))  # W M
        bias = q.new_full((self.heads, n + zeros, n + zeros), -torch.inf)
        table = self.bias().to(q.dtype).expand(len(token), -1, -1, -1).transpose(0, 1)  # h W M M
        bias[:, token[:, :, None], token[:, None, :]] = table
        return ((q / q.shape[-1] ** 0.5) @ k.transpose(-2, -1) + bias).softmax(dim=-1)[:, :, :n, :n]
