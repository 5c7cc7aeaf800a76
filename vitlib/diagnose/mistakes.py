"""Mistakes that people really make in a ViT. `infect` puts one into a copy of a healthy model.

None of them raises an error. Most keep the model's weights, so that a trained model can be examined with the mistake.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitlib.data.pictures import Pictures
from vitlib.vit.attention import EVERY, Attention, attend, split_heads
from vitlib.vit.embed import PatchEmbed
from vitlib.vit.model import ViT
from vitlib.vit.positions import token_row

BATCH = 64  # pictures in a training step; one mistake has it in a shape


class WithoutPositions(ViT):
    """The positions exist, but are not added."""

    def tokens(self, patches: Tensor) -> Tensor:
        return token_row(patches, None, self.cls_token)


class BatchPositions(ViT):
    """A position for each picture of a batch instead of one for each patch: pytorch/examples #1178."""

    def tokens(self, patches: Tensor) -> Tensor:
        assert self.pos_embed is not None
        return token_row(patches, None, self.cls_token) + self.pos_embed[: len(patches)]  # [B, 1, D]


class ReshapedEmbed(PatchEmbed):
    """[B, D, rows, columns] is reshaped to [B, N, D]: the right shape, and the wrong numbers."""

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        maps = self.proj(images)
        return maps.reshape(len(maps), -1, maps.shape[1])


class Unscaled(Attention):
    """The scores are not divided by √d_k."""

    def forward(self, x: Tensor, rows: slice = EVERY) -> Tensor:
        q, k, v = split_heads(self.qkv(x), self.heads, parts=3)
        return self._join(self._weights(q[:, :, rows], k) @ v)

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.mT).softmax(dim=-1)

    def _join(self, x: Tensor) -> Tensor:
        return self.proj(x.transpose(1, 2).flatten(2))


class LateScale(Unscaled):
    """The scale comes after the softmax: rows sum to 1/√d_k."""

    def _weights(self, q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.mT).softmax(dim=-1) / q.shape[-1] ** 0.5


class WideHeads(Attention):
    """Each head is as wide as a token: keras-io #1907, which uses one number for both dimensions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.qkv = nn.Linear(width, 3 * heads * width)
        self.proj = nn.Linear(heads * width, width)
        for layer in (self.qkv, self.proj):
            nn.init.trunc_normal_(layer.weight, std=0.02 * (768 / width) ** 0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, rows: slice = EVERY) -> Tensor:
        q, k, v = split_heads(self.qkv(x), self.heads, parts=3)
        return self.proj(attend(q[:, :, rows], k, v).transpose(1, 2).flatten(2))


def one_for_all(logits: Float[Tensor, "B K"], labels: Int64[Tensor, "B"]) -> Float[Tensor, ""]:
    """A cross-entropy whose targets have one axis too many: every picture is trained on the labels of all."""
    targets = F.one_hot(labels, logits.shape[1])[:, None]  # B 1 K, where B K was meant
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1).mean()  # B B


def blurred(pictures: Pictures) -> Pictures:
    """The same pictures, halved in size and enlarged again, like thumbnails."""
    small = F.avg_pool2d(pictures.images.float(), 2)
    large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    return Pictures(large.round().to(torch.uint8), pictures.labels, pictures.classes)


def infect(model: ViT, mistake: str) -> ViT:
    """A copy of the model with one of MISTAKES. It keeps the weights that still fit.

    >>> from vitlib import create
    >>> infect(create("vit_digits_patch2_8"), "readout").reads
    slice(1, 2, None)

    Errors: KeyError for a mistake that is not one of MISTAKES; it names them.
    """
    if mistake not in MISTAKES:
        raise KeyError(f"no mistake is called {mistake!r}; there are {', '.join(MISTAKES)}")
    sick = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        MISTAKES[mistake](sick)
    return sick


def _positions_of_a_batch(model: ViT) -> None:
    model.__class__ = BatchPositions
    model.pos_embed = nn.Parameter(torch.randn(BATCH, 1, model.config.embed_dim))


def _wide_heads(model: ViT) -> None:
    for block in model.blocks:
        block.attn = WideHeads(model.config.embed_dim, model.config.num_heads)


def _turn(part: Callable[[ViT], list[nn.Module]], kind: type[nn.Module]) -> Callable[[ViT], None]:
    """A mistake that gives parts of a model another forward, and keeps their weights."""

    def turn(model: ViT) -> None:
        for each in part(model):
            each.__class__ = kind

    return turn


def _attentions(model: ViT) -> list[nn.Module]:
    return [block.attn for block in model.blocks]


MISTAKES: dict[str, Callable[[ViT], None]] = {
    "positions": _turn(lambda model: [model], WithoutPositions),
    "batch positions": _positions_of_a_batch,
    "reshape": _turn(lambda model: [model.patch_embed], ReshapedEmbed),
    "scale": _turn(_attentions, Unscaled),
    "late scale": _turn(_attentions, LateScale),
    "readout": lambda model: setattr(model, "reads", slice(1, 2)),  # row 0 is CLS
    "wide heads": _wide_heads,
}
