"""Chapter 7: a plain ViT that begins by looking around. Weights to start from, in place of random queries and keys.

A fresh ViT does not know which patches touch, and 50,000 pictures teach it slowly. Here each head of each block starts
out looking at one neighbour, drawn at random, as a convolution would. Only numbers change: the model is the same, and
training moves these weights like all others.
Sources: Cordonnier et al., 2020, "On the relationship between self-attention and convolutional layers"; Zheng et al.,
2024, "Structured initialization for attention in vision transformers".
"""

import math

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from vitlib.data.pictures import normalise
from vitlib.recipes.teacher import whitening
from vitlib.vit.model import ViT

STRENGTH = 0.6  # of queries and keys: with it, a head takes about half from its neighbour and half from all others
SCALE = 0.7  # of positions beside the patches, whose numbers vary by about 1


@torch.no_grad()
def look_at_neighbours(model: ViT, seed: int = 0) -> None:
    """Give the model positions of sines and cosines, and every head a neighbour to look at: up to one patch away.

    A position x is a row of pairs sin(ωx), cos(ωx). A shift turns each pair by its own angle, so that a key turned by
    the shift answers the query of its neighbour the most: Σ cos(ω(x + shift − x')) is largest where x' = x + shift.

    Errors: ValueError for a model without learned positions.
    """
    config = model.config
    if not isinstance(model.pos_embed, nn.Parameter):
        raise ValueError(f"positions are {config.positions!r}: expected 'learned', so that they can be set")
    generator = torch.Generator().manual_seed(seed)
    width, head = config.embed_dim, config.embed_dim // config.num_heads
    omega = torch.arange(1, head // 4 + 1) * math.pi / (head // 4 + 0.5)  # between none and half a turn a patch
    spread = torch.linalg.qr(torch.randn(width, 4 * len(omega), generator=generator))[0]  # D d: where the waves lie
    y, x = torch.meshgrid(*(torch.arange(side) for side in (config.grid.rows, config.grid.columns)), indexing="ij")
    waves = torch.cat([wave(x.flatten(), omega), wave(y.flatten(), omega)], dim=1)  # N d
    model.pos_embed[:, config.prefix_rows :] = SCALE * (width / (2 * len(omega))) ** 0.5 * waves @ spread.T
    for block in model.blocks:
        queries, keys, _ = block.attn.qkv.weight.unflatten(0, (3, config.num_heads, head))  # h d D, each
        for query, key in zip(queries, keys, strict=True):
            right, down = torch.randint(-1, 2, (2,), generator=generator).tolist()
            turned = torch.block_diag(turn(right, omega), turn(down, omega))  # d d
            rows = slice(4 * len(omega))
            query.mul_(0.5)[rows] += STRENGTH * spread.T
            key.mul_(0.5)[rows] += STRENGTH * turned @ spread.T


@torch.no_grad()
def embed_whitened(model: ViT, images: UInt8[Tensor, "N C H W"], seed: int = 0) -> None:
    """Patches as random mixtures of their whitened pixels: rare features are as strong as common ones.

    Neighbouring pixels are nearly the same, so a random filter sees little but the mean colour.
    """
    generator = torch.Generator().manual_seed(seed)
    weight = model.patch_embed.proj.weight  # D C P P
    filters = whitening(images, side=weight.shape[-1], eps=1e-2).flatten(1)  # K CP²
    mixed = torch.randn(len(weight), len(filters), generator=generator) @ filters
    weight.copy_(mixed.view_as(weight))
    some = normalise(images[:500], model.config.mean, model.config.std)
    weight.mul_(SCALE / model.patch_embed(some).std())


def wave(places: Int64[Tensor, "N"], omega: Float[Tensor, "F"]) -> Float[Tensor, "N 2*F"]:
    """sin(ωx) for each ω, then cos(ωx)."""
    return torch.cat([(places[:, None] * omega).sin(), (places[:, None] * omega).cos()], dim=1)


def turn(shift: int, omega: Float[Tensor, "F"]) -> Float[Tensor, "2*F 2*F"]:
    """The matrix that makes wave(x) into wave(x − shift).

    >>> omega = torch.tensor([0.5, 1.0])
    >>> bool(torch.allclose(turn(2, omega) @ wave(torch.tensor([5]), omega)[0], wave(torch.tensor([3]), omega)[0]))
    True
    """
    sin, cos = (shift * omega).sin().diag(), (shift * omega).cos().diag()
    return torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
