"""Chapter 8: windows in a ViT. Patches look at their own window and at CLS; CLS looks at everything."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vitlib.backbones.biased_attention import attend_with_bias
from vitlib.backbones.dropins import check_tokens, require_vit, with_attention
from vitlib.backbones.windows import Windows
from vitlib.vit.attention import EVERY, Attention, attend, split_heads
from vitlib.vit.model import ViT
from vitlib.vit.tables import WithTables


def with_windows(model: ViT, window: int) -> ViT:
    """A copy of a ViT that attends inside windows of `window` × `window` tokens, shifted in every second block.

    The weights are the same, the attention is not: fine-tune the copy, or keep windows large.

    >>> from vitlib.models import create
    >>> model = with_windows(create("vit_cifar_patch4_32"), window=4)
    >>> model(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])

    Errors: TypeError for a model that is not a ViT; ValueError where the window does not divide the model's grid.
    """
    require_vit(model)
    grid, prefix = model.config.grid, model.config.prefix

    def make(number: int, attention: Attention) -> Attention:
        windows = Windows(grid.rows, grid.columns, window, window // 2 * (number % 2))
        return WindowedAttention(attention.proj.in_features, attention.heads, windows, prefix, attention.fused)

    return with_attention(model, make)


class WindowedAttention(WithTables, Attention):
    """Attention inside windows; `prefix` tokens (CLS, registers) attend to all tokens, and all attend to them.

    >>> attention = WindowedAttention(embed_dim=192, num_heads=3, windows=Windows(14, 14, window=7), prefix=1)
    >>> attention(torch.zeros(2, 197, 192)).shape
    torch.Size([2, 197, 192])

    Errors: ValueError for another number of tokens.
    Sources: Liu et al., 2021, section 3.2; Beltagy et al., 2020, "Longformer", for the tokens that see all.
    """

    order: Tensor
    places: Tensor
    bias: Tensor

    def __init__(
        self, embed_dim: int, num_heads: int, windows: Windows, prefix: int, fused: bool | None = None
    ) -> None:
        super().__init__(embed_dim, num_heads, fused)
        self.windows, self.prefix = windows, prefix
        self.keep_tables()

    def tables(self) -> dict[str, Tensor | None]:
        """Indices and masks, computed from the windows; no checkpoint stores them."""
        order = self.windows.order().flatten()
        masked = F.pad(self.windows.masked()[:, None], (self.prefix, 0))  # W 1 M p+M: CLS is never masked
        bias = torch.zeros(masked.shape).masked_fill(masked, -torch.inf)
        return {"order": order, "places": order.argsort(), "bias": bias}

    def set_grid(self, rows: int, columns: int) -> None:
        """Cut a grid of rows × columns into windows of the same size.

        Errors: those of Windows.
        """
        self.windows = replace(self.windows, rows=rows, columns=columns)
        self.keep_tables(self.proj.weight)

    def forward(self, x: Float[Tensor, "B T D"], rows: slice = EVERY) -> Float[Tensor, "B Q D"]:
        check_tokens(x.shape[1], self.prefix, self.windows.rows, self.windows.columns)
        q, k, v = split_heads(self.qkv(x), self.heads, parts=3)  # B h T d, each
        found = torch.cat([attend(q[:, :, : self.prefix], k, v, self.fused), self.inside(q, k, v)], dim=2)
        return self.proj(found.transpose(1, 2).flatten(2)[:, rows])  # B h T d → B Q D

    def inside(
        self, q: Float[Tensor, "B h T d"], k: Float[Tensor, "B h T d"], v: Float[Tensor, "B h T d"]
    ) -> Float[Tensor, "B h N d"]:
        """The answers of the patches, window by window."""
        count, p = self.windows.count, self.prefix
        q, k, v = (
            torch.cat([each[:, :, None, :p].expand(-1, -1, count, -1, -1), self.cut(each)], dim=3)
            .transpose(1, 2)
            .flatten(0, 1)
            for each in (q, k, v)
        )  # B·W h p+M d
        bias = self.constant("bias", q) if self.windows.shift else self.constant("bias", q)[:1]
        found = attend_with_bias(q[:, :, p:], k, v, bias, self.fused).unflatten(0, (-1, count))  # B W h M d
        return found.transpose(1, 2).flatten(2, 3).index_select(2, self.constant("places", q))

    def cut(self, x: Float[Tensor, "B h T d"]) -> Float[Tensor, "B h W M d"]:
        """The patches' rows, window by window."""
        return x.index_select(2, self.constant("order", x) + self.prefix).unflatten(2, (self.windows.count, -1))

    def weights(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B h T T"]:
        """The maps over all tokens: the same attention without cutting, where other windows have the bias −∞."""
        q, k, _ = split_heads(self.qkv(x), self.heads, parts=3)  # B h T d
        p, token = self.prefix, self.prefix + self.constant("order", x).unflatten(0, (self.windows.count, -1))  # W M
        bias = q.new_full((x.shape[1], x.shape[1]), -torch.inf)
        bias[:p] = bias[:, :p] = 0
        bias[token[:, :, None], token[:, None, :]] = self.constant("bias", q)[:, 0, :, p:].to(q.dtype)
        return ((q / q.shape[-1] ** 0.5) @ k.transpose(-2, -1) + bias).softmax(dim=-1)
