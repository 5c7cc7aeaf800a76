"""Chapter 3: fixed sin-cos position embeddings.

D waves of different lengths give each position D numbers, as the hands of a clock give each time a few angles. They
need no training, and exist for every size of grid.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from vitlib.vit.config import ViTConfig


def fixed_positions(config: ViTConfig) -> Float[Tensor, "1 N D"] | None:
    """The sin-cos positions of a configuration; None where it has none."""
    if config.positions == "sincos1d":
        return sincos_1d(config.grid.tokens, config.embed_dim)
    if config.positions == "sincos2d":
        return sincos_2d((config.grid.rows, config.grid.columns), config.embed_dim)
    return None


def sincos_1d(n: int, width: int) -> Float[Tensor, "1 N D"]:
    """Waves along the row: PE[i, 2k] = sin(i / 10000^(2k/D)), and PE[i, 2k+1] the cosine.

    >>> sincos_1d(n=2, width=4)[0, 0]
    tensor([0., 1., 0., 1.])

    Errors: ValueError for an odd width. Source: Vaswani et al., 2017, section 3.5.
    """
    if width % 2:
        raise ValueError(f"width is {width}: sin-cos positions need pairs; choose {width + 1}")
    angles = torch.arange(n)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)  # N D/2
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[None]  # N D/2 2 → 1 N D


def sincos_2d(grid: tuple[int, int], width: int) -> Float[Tensor, "1 N D"]:
    """Waves along both axes of a (rows, columns) grid: a quarter each of sin x, cos x, sin y, cos y.

    >>> sincos_2d((14, 10), width=192).shape
    torch.Size([1, 140, 192])

    Errors: ValueError for a width that four does not divide.
    Source: Chen et al., 2021 (MoCo v3), and Beyer et al., 2022, "Better plain ViT baselines".
    """
    if width % 4:
        raise ValueError(f"width is {width}: 2D sin-cos positions need quarters; choose {width + 4 - width % 4}")
    frequencies = 10_000 ** -torch.linspace(0, 1, width // 4)
    y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    x, y = x.reshape(-1, 1) * frequencies, y.reshape(-1, 1) * frequencies  # N D/4, both
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1)[None]
