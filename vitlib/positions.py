"""Chapter 3: the row of tokens, and where each of them came from, h_i = z_i + PE_i.

Attention treats its tokens as a set. What tells patch 3 from patch 7 is the position vector added here.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def token_row(
    patches: Float[Tensor, "B N D"],
    positions: Float[Tensor, "1 R D"] | None,
    *prefix: Float[Tensor, "1 _ D"] | None,
) -> Float[Tensor, "B T D"]:
    """[prefix, patches] + positions, where the prefix is CLS and the registers (None for those a model lacks).

    The last N rows of `positions` belong to the patches, those before them to the first prefix tokens. A prefix
    token without a row gets none.

    >>> cls = torch.ones(1, 1, 8)
    >>> token_row(torch.zeros(2, 4, 8), torch.ones(1, 5, 8), cls)[0, :, 0]
    tensor([2., 1., 1., 1., 1.])

    Errors: ValueError where the positions belong to another grid.
    Source: Dosovitskiy et al., 2021, equation 1, which gives CLS a position as well.
    """
    before = [token.expand(len(patches), -1, -1) for token in prefix if token is not None]
    tokens = torch.cat([*before, patches], dim=1)  # B T D
    if positions is None:
        return tokens
    (t, n), rows = (tokens.shape[1], patches.shape[1]), positions.shape[1]
    if not n <= rows <= t:
        raise ValueError(
            f"there are {rows} position rows for {n} patches and {t - n} tokens before them: expected {n} to {t}; "
            "bring them to this grid with resize_positions"
        )
    if rows < t:
        none = positions.new_zeros(1, t - rows, positions.shape[2])
        positions = torch.cat([positions[:, : rows - n], none, positions[:, rows - n :]], dim=1)
    return tokens + positions


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
