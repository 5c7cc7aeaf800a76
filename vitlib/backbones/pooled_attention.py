"""Chapter 8: pooled keys and values. Every token still has a query; keys and values are averages of s × s patches.

N² scores become N²/s². There are no new parameters, so the copy of a trained model can be used as it is.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vitlib.backbones.dropins import check_tokens, require_vit, with_attention
from vitlib.vit.attention import EVERY, Attention, attend, attention_weights, split_heads
from vitlib.vit.model import ViT


def with_pooled_keys(model: ViT, stride: int) -> ViT:
    """A copy of a ViT whose tokens look at averages of `stride` × `stride` patches, with the same weights.

    >>> from vitlib.models import create
    >>> model = with_pooled_keys(create("vit_cifar_patch4_32"), stride=2)
    >>> model(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])

    Errors: TypeError for a model that is not a ViT; ValueError where the stride does not divide the model's grid.
    """
    require_vit(model)
    grid, prefix = (model.config.grid.rows, model.config.grid.columns), model.config.prefix
    return with_attention(
        model, lambda _, each: PooledAttention(each.proj.in_features, each.heads, grid, stride, prefix, each.fused)
    )


class PooledAttention(Attention):
    """Attention to averages of s × s patches: [B, T, D] → [B, T, D]. The `prefix` tokens are asked as they are.

    >>> attention = PooledAttention(embed_dim=192, num_heads=3, grid=(14, 14), stride=2, prefix=1)
    >>> attention(torch.zeros(2, 197, 192)).shape
    torch.Size([2, 197, 192])

    Errors: ValueError for a stride that does not divide the grid, and for another number of tokens.
    Sources: Fan et al., 2021, "Multiscale vision transformers", section 3.1; Wang et al., 2022, "PVT v2", section 3.2,
    for the average.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, grid: tuple[int, int], stride: int, prefix: int, fused: bool | None = None
    ) -> None:
        super().__init__(embed_dim, num_heads, fused)
        self.stride, self.prefix = stride, prefix
        self.set_grid(*grid)

    def set_grid(self, rows: int, columns: int) -> None:
        """Pool the patches of a grid of rows × columns.

        Errors: ValueError where the stride does not divide it.
        """
        check_stride(rows, columns, self.stride, "stride")
        self.grid = (rows, columns)

    def forward(self, x: Float[Tensor, "B T D"], rows: slice = EVERY) -> Float[Tensor, "B Q D"]:
        """Pools before the projection: the average of keys is the key of the average, at a fraction of the FLOPs."""
        check_tokens(x.shape[1], self.prefix, *self.grid)
        width = self.proj.in_features
        wq, wkv = self.qkv.weight.split([width, 2 * width])
        bq, bkv = self.qkv.bias.split([width, 2 * width])
        (q,) = split_heads(F.linear(x[:, rows], wq, bq), self.heads, parts=1)  # B h Q d
        k, v = split_heads(F.linear(self.pool(x), wkv, bkv), self.heads, parts=2)  # B h p+N/s² d, each
        return self.proj(attend(q, k, v, self.fused).transpose(1, 2).flatten(2))

    def keys_pooled(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """As the papers put it: make all keys and values, then pool them. The same answers as `forward`."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # B T D, each
        q, k, v = (split_heads(each, self.heads, parts=1)[0] for each in (q, self.pool(k), self.pool(v)))
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))

    def pool(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B S D"]:
        """The prefix as it is, and the average of each square of patches."""
        prefix, patches = x[:, : self.prefix], x[:, self.prefix :]
        rows, columns = (side // self.stride for side in self.grid)
        tiles = patches.unflatten(1, (rows, self.stride, columns, self.stride))  # B R s C s D
        return torch.cat([prefix, tiles.mean(dim=(2, 4)).flatten(1, 2)], dim=1)

    def weights(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B h T T"]:
        """The attention maps over all tokens: the weight of a square is shared equally by its patches."""
        q, k, _ = self.qkv(x).chunk(3, dim=-1)
        q, k = (split_heads(each, self.heads, parts=1)[0] for each in (q, self.pool(k)))
        weights = attention_weights(q, k)  # B h T p+N/s²
        rows, columns = (side // self.stride for side in self.grid)
        squares = weights[..., self.prefix :].unflatten(-1, (rows, columns)) / self.stride**2
        patches = squares.repeat_interleave(self.stride, dim=-2).repeat_interleave(self.stride, dim=-1)
        return torch.cat([weights[..., : self.prefix], patches.flatten(-2)], dim=-1)


def check_stride(rows: int, columns: int, stride: int, name: str) -> None:
    """ValueError where the stride, called `name`, does not divide a grid of rows × columns."""
    if stride < 1 or rows % stride or columns % stride:
        fits = [s for s in range(1, min(rows, columns) + 1) if rows % s == 0 and columns % s == 0]
        raise ValueError(
            f"{name} is {stride}, and the grid has {rows} × {columns} tokens: choose {', '.join(map(str, fits))}"
        )
