"""Chapter 8: attention inside windows, and how shifted windows let neighbours talk.

All N tokens looking at all N costs N² scores. Where each looks at the M tokens of its own window, it is N · M: twice
the picture's side is four times the work, not sixteen. The next block shifts the windows, so that tokens on both sides
of a border meet there. Source: Liu et al., 2021, "Swin transformer", sections 3.1 and 3.2.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from vitlib.vit.attention import EVERY, Attention, split_heads


@dataclass(frozen=True)
class Windows:
    """A grid of tokens cut into windows; with a shift, the grid rolls up and left before it is cut.

    Rolling is cyclic: what leaves at the top comes back at the bottom. So the number of windows stays, and those at
    the end hold tokens that were never neighbours; `apart` names them.

    >>> windows = Windows(rows=4, columns=4, window=2, shift=1)
    >>> windows.count, windows.area
    (4, 4)
    >>> windows.cut(torch.arange(16)[None]).tolist()
    [[5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]

    Errors: ValueError for a window larger than the grid or that does not divide it, and for a shift that is not
    smaller than the window.
    """

    rows: int  # tokens, from top to bottom of the grid
    columns: int  # tokens
    window: int  # tokens: the side of a window
    shift: int = 0  # tokens, up and to the left

    def __post_init__(self) -> None:
        grid = f"{self.rows} × {self.columns} tokens"
        short = min(self.rows, self.columns)
        if not 1 <= self.window <= short:
            raise ValueError(f"window is {self.window} tokens, and the grid has {grid}: choose 1 to {short}")
        if self.rows % self.window or self.columns % self.window:
            fits = [w for w in range(1, short + 1) if self.rows % w == 0 and self.columns % w == 0]
            raise ValueError(
                f"the grid of {grid} is no multiple of window {self.window}; choose {', '.join(map(str, fits))}, or "
                "pictures of another size"
            )
        if not 0 <= self.shift < self.window:
            raise ValueError(f"shift is {self.shift}: expected 0 to {self.window - 1}, less than the window")

    @property
    def count(self) -> int:
        """W, the number of windows."""
        return self.rows * self.columns // self.area

    @property
    def area(self) -> int:
        """M, the tokens in one window."""
        return self.window**2

    def cut(self, x: Shaped[Tensor, "B N *D"]) -> Shaped[Tensor, "V M *D"]:
        """The tokens of a grid, window by window; V = B · W."""
        x = x.unflatten(1, (self.rows, self.columns)).roll((-self.shift, -self.shift), dims=(1, 2))
        x = x.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window))  # B R w C w D
        return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)  # B R C w w D → B·W M D

    def join(self, x: Shaped[Tensor, "V M *D"]) -> Shaped[Tensor, "B N *D"]:
        """The tokens back in their places: the inverse of `cut`."""
        size = (-1, self.rows // self.window, self.columns // self.window, self.window, self.window)
        x = x.flatten(0, 1).unflatten(0, size).transpose(2, 3)  # B R w C w D
        return x.flatten(3, 4).flatten(1, 2).roll((self.shift, self.shift), dims=(1, 2)).flatten(1, 2)

    def order(self) -> Int[Tensor, "W M"]:
        """Which token comes where in the windows. Picking tokens by it is `cut`, in one pass over memory."""
        return self.cut(torch.arange(self.rows * self.columns)[None])

    def apart(self) -> Bool[Tensor, "W M M"]:
        """Pairs that share a window only because the grid rolled: one of the two has come round, or both elsewhere."""
        row, column = self.order() // self.columns, self.order() % self.columns
        side = 2 * (row < self.shift) + (column < self.shift)  # W M: which border it rolled over, if any
        return side[:, :, None] != side[:, None, :]


def relative_index(window: int) -> Int[Tensor, "M M"]:
    """For each pair of tokens in a window: the row of the table that belongs to their distance, (dy, dx).

    Distances run from −(w − 1) to w − 1 in both directions, so the table has (2w − 1)² rows.

    >>> relative_index(2)[0].tolist()  # from the first token: to itself, its right, below, across
    [4, 3, 1, 0]
    """
    place = torch.arange(window**2)
    y, x = place // window, place % window
    down, right = (each[:, None] - each[None, :] + window - 1 for each in (y, x))  # M M, from 0
    return down * (2 * window - 1) + right


def attend_with_bias(
    q: Float[Tensor, "V h Q d"],
    k: Float[Tensor, "V h T d"],
    v: Float[Tensor, "V h T d"],
    bias: Float[Tensor, "W g Q2 T"],
    fused: bool | None = None,
) -> Float[Tensor, "V h Q d"]:
    """softmax(Q Kᵀ / √d + bias) V, as written or by a fused kernel; the biases repeat along V.

    `fused=None` takes the faster one. On a CPU that is the fused kernel in inference; it has no gradient for the bias
    there, and bfloat16 slows it down.
    """
    if fused is None:
        fused = q.device.type != "cpu" or not (torch.is_grad_enabled() or q.dtype == torch.bfloat16)
    if fused:
        mask = bias if len(bias) == 1 else bias.repeat(len(q) // len(bias), 1, 1, 1)
        return F.scaled_dot_product_attention(q, k, v, mask.to(q.dtype))
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()  # the products would copy them themselves, more slowly
    scores = (q @ k.mT).unflatten(0, (-1, len(bias)))  # B W h Q T
    scores = torch.add(bias, scores, alpha=q.shape[-1] ** -0.5)  # Q Kᵀ / √d + bias, in one pass
    return scores.flatten(0, 1).softmax(dim=-1).to(v.dtype) @ v


class WindowAttention(Attention):
    """Self-attention inside windows, with a learned bias for each distance: [B, N, D] → [B, N, D].

    It stands in a ViT's block in the place of Attention; the block is Swin's then.

    >>> attention = WindowAttention(embed_dim=96, num_heads=3, windows=Windows(14, 14, window=7, shift=3))
    >>> attention(torch.zeros(2, 196, 96)).shape
    torch.Size([2, 196, 96])

    Errors: those of Attention. Source: Liu et al., 2021, equations 3 and 4.
    """

    order: Tensor
    places: Tensor
    index: Tensor
    apart: Tensor | None

    def __init__(self, embed_dim: int, num_heads: int, windows: Windows, fused: bool | None = None) -> None:
        super().__init__(embed_dim, num_heads, fused)
        self.windows = windows
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * windows.window - 1) ** 2, num_heads))
        order = windows.order().flatten()
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("places", order.argsort(), persistent=False)
        self.register_buffer("index", relative_index(windows.window).flatten(), persistent=False)
        apart = windows.apart()[:, None]  # W 1 M M
        bias = torch.zeros(apart.shape).masked_fill(apart, -torch.inf)
        self.register_buffer("apart", bias if windows.shift else None, persistent=False)

    def forward(self, x: Float[Tensor, "B N D"], rows: slice = EVERY) -> Float[Tensor, "B Q D"]:
        windows = x.index_select(1, self.order).reshape(-1, self.windows.area, x.shape[2])  # V M D
        q, k, v = split_heads(self.qkv(windows), self.heads, parts=3)  # V h M d, each
        found = attend_with_bias(q, k, v, self.bias(), self.fused)
        found = self.proj(found.transpose(1, 2).flatten(2))  # V h M d → V M D
        return found.reshape(x.shape).index_select(1, self.places)[:, rows]

    def bias(self) -> Float[Tensor, "W h M M"]:
        """What is added to the scores: the bias of the distance, and −∞ for tokens that only rolled together."""
        m = self.windows.area
        bias = self.relative_position_bias_table.index_select(0, self.index).mT.reshape(1, self.heads, m, m)
        return bias if self.apart is None else bias + self.apart

    def weights(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B h N N"]:
        """The maps over the whole grid: the same attention without cutting; other windows have the bias −∞."""
        q, k, _ = split_heads(self.qkv(x), self.heads, parts=3)  # B h N d
        token = self.order.unflatten(0, (-1, self.windows.area))  # W M
        bias = q.new_full((self.heads, x.shape[1], x.shape[1]), -torch.inf)
        bias[:, token[:, :, None], token[:, None, :]] = self.bias().expand(len(token), -1, -1, -1).transpose(0, 1)
        return ((q / q.shape[-1] ** 0.5) @ k.mT + bias).softmax(dim=-1)
