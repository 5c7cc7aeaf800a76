"""Chapter 8: token merging. In every block the r most similar pairs of patches become one token each.

Nothing is learned: a trained ViT can be used as it is, with fewer and fewer tokens from block to block.
Source: Bolya et al., 2023, "Token merging: your ViT but faster", section 3.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitlib.backbones.biased_attention import attend_with_bias
from vitlib.backbones.dropins import require_vit
from vitlib.vit.attention import EVERY, split_heads
from vitlib.vit.config import ViTConfig
from vitlib.vit.encoder import Block
from vitlib.vit.model import ViT


class Merge(NamedTuple):
    """Which of n tokens become one: token i goes to place `goes[i]` of the row of `left` tokens that is left."""

    goes: Int[Tensor, "B n"]
    left: int

    def matrix(self) -> Float[Tensor, "B left n"]:
        """1 where a token goes to a place, else 0."""
        return F.one_hot(self.goes, self.left).mT.float()


def match(metric: Float[Tensor, "B n d"], r: int) -> Merge:
    """The r pairs of tokens with the most similar directions in `metric`, found without comparing all with all.

    The tokens are dealt out to two sets in turn. Each of the first set picks the most similar one of the second; the r
    best of these pairs merge, into the second's place. So several may merge into one, and none is merged away twice.

    >>> match(torch.tensor([[[1., 0.], [0., 1.], [1., 1.], [2., 2.1]]]), r=1).goes  # token 2 goes to token 3
    tensor([[0, 1, 2, 2]])

    Errors: ValueError where the first set has fewer than r tokens.
    """
    batch, n, _ = metric.shape
    if not 0 <= r <= n // 2:
        raise ValueError(f"r is {r}: of {n} tokens, 0 to {n // 2} can merge at once")
    if r == 0:
        return Merge(torch.arange(n, device=metric.device).repeat(batch, 1), n)
    direction = F.normalize(metric, dim=-1)
    similarity, pick = (direction[:, 0::2] @ direction[:, 1::2].transpose(1, 2)).max(dim=-1)  # B ⌈n/2⌉, each
    if torch.onnx.is_in_onnx_export():  # ONNX has no stable sort, but of equals its TopK takes the first, too
        first = similarity.topk(r)[1]
    else:
        first = similarity.argsort(dim=-1, descending=True, stable=True)[:, :r]  # B r, counted in the first set
    stays = torch.ones(batch, n, dtype=torch.long, device=metric.device).scatter(1, 2 * first, 0)  # 1 or 0
    place = stays.cumsum(dim=1) - 1  # those that stay keep their order
    instead = torch.arange(n, device=metric.device).repeat(batch, 1)
    instead = instead.scatter(1, 2 * first, 2 * pick.gather(1, first) + 1)
    return Merge(place.gather(1, instead), n - r)


def total(merge: Merge, x: Float[Tensor, "B n D"]) -> Float[Tensor, "B left D"]:
    """The sum of what comes together in each place: `merge.matrix() @ x`, without the matrix."""
    batch, width = x.shape[0], x.shape[2]
    start = merge.left * torch.arange(batch, device=x.device)[:, None]  # the pictures' rows, one below the other
    sums = x.new_zeros(batch * merge.left, width).index_add(0, (merge.goes + start).flatten(), x.flatten(0, 1))
    return sums.unflatten(0, (batch, merge.left))


def mean(
    merge: Merge, x: Float[Tensor, "B n D"], size: Float[Tensor, "B n"]
) -> tuple[Float[Tensor, "B left D"], Float[Tensor, "B left"]]:
    """What comes together in each place: the mean of the tokens, each as heavy as it is large, and their sizes."""
    sizes = total(merge, size[..., None])
    return total(merge, x * size[..., None]) / sizes, sizes[..., 0]


def attention_half(
    block: Block, x: Float[Tensor, "B T D"], size: Float[Tensor, "B T"], rows: slice = EVERY
) -> tuple[Float[Tensor, "B Q D"], Float[Tensor, "B T d"]]:
    """The first half of a block for tokens that stand for `size` patches; also their keys, the mean of the heads'.

    A token that stands for s patches counts as s tokens in attention: its scores grow by ln s (equation 1).
    """
    q, k, v = split_heads(block.attn.qkv(block.norm1(x)), block.attn.heads, parts=3)  # B h T d, each
    found = attend_with_bias(q[:, :, rows], k, v, size.log()[:, None, None], block.attn.fused)
    found = block.attn.proj(found.transpose(1, 2).flatten(2))  # B h Q d → B Q D
    return x[:, rows] + block.drop(block.ls1(found)), k.mean(dim=1)


def mlp_half(block: Block, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
    """The second half of a block."""
    return x + block.drop(block.ls2(block.mlp(block.norm2(x))))


def check_merging(config: ViTConfig, r: int, name: str) -> None:
    """ValueError where blocks cannot merge r pairs each, and for a model that pools by attention; `name` is r's."""
    most = config.grid.tokens // config.depth if config.depth > 1 else 0
    if not 0 <= r <= most:
        raise ValueError(
            f"{name} is {r}: {config.grid.tokens} patches through {config.depth} blocks can lose 0 to {most} in each, "
            f"as a block merges half of what it gets at most; choose {name}={most} or less"
        )
    if config.global_pool == "map":
        raise ValueError('the model pools by attention, which does not weigh tokens: expected "token" or "avg"')


class MergedViT(nn.Module):
    """A ViT that merges r pairs of patches in every block but the last, after which nothing attends to patches.

    It holds the ViT itself, not a copy: training one trains the other; save the ViT.

    >>> from vitlib.models import create
    >>> vit = create("vit_cifar_patch4_32")  # 64 patches, 6 blocks
    >>> MergedViT(vit, r=8)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])

    Errors: TypeError for a model that is not a ViT, and for an r that is not an integer; ValueError where r pairs are
    more than can merge, and for a model that pools by attention.
    """

    def __init__(self, vit: ViT, r: int) -> None:
        super().__init__()
        require_vit(vit)
        if not isinstance(r, int) or isinstance(r, bool):
            raise TypeError(
                f"r is {r!r} ({type(r).__name__}): expected a whole number, the pairs that merge in a block"
            )
        check_merging(vit.config, r, "r")
        self.vit, self.r, self.config = vit, r, vit.config

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.steps(images)[0]

    def layer_groups(self) -> list[list[nn.Module | Tensor | None]]:
        """Those of the ViT inside."""
        return self.vit.layer_groups()

    def groups(self, images: Float[Tensor, "B C H W"]) -> Int[Tensor, "B N"]:
        """For each patch, the number of the token that stands for it in the end: a segmentation of the picture."""
        return self.steps(images)[1]

    def steps(self, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B N"]]:
        """The logits, and which token stands for each patch."""
        vit, prefix = self.vit, self.config.prefix
        x = vit.tokens(vit.patch_embed(vit.checked(images)))  # B T D
        size = x.new_ones(x.shape[:2])
        groups = torch.arange(x.shape[1] - prefix, device=x.device).repeat(x.shape[0], 1)  # B N
        *body, last = vit.blocks
        for block in body:
            x, keys = attention_half(block, x, size)
            merge = match(keys[:, prefix:], self.r)
            patches, sizes = mean(merge, x[:, prefix:], size[:, prefix:])
            x, size = (torch.cat([a[:, :prefix], b], dim=1) for a, b in ((x, patches), (size, sizes)))
            x = mlp_half(block, x)
            groups = merge.goes.gather(1, groups)
        x, _ = attention_half(last, x, size, vit.reads)
        return vit.head(self.pool(mlp_half(last, x), size[:, vit.reads])), groups

    def pool(self, x: Float[Tensor, "B R D"], size: Float[Tensor, "B R"]) -> Float[Tensor, "B D"]:
        """CLS, or the mean over the patches: a token counts as often as it stands for one."""
        x, size = self.vit.norm(x), size[..., None]
        return self.vit.fc_norm((x * size).sum(dim=1) / size.sum(dim=1))  # of CLS alone, the mean is CLS
