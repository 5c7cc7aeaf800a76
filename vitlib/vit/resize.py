"""Chapter 3: learned positions on another grid, so that a model takes pictures of another size."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vitlib.vit.checks import require_one_of, require_pair

# How each library stretches learned positions to another grid: arguments of torch's interpolate
CONVENTIONS: dict[str, dict[str, Any]] = {
    "timm": {"mode": "bicubic", "antialias": True},
    "hf": {"mode": "bicubic"},
    "torchvision": {"mode": "bicubic", "align_corners": True},
    "dinov2": {"mode": "bicubic"},  # scaled by a factor, with an offset: see below
    "google": {"mode": "bilinear", "align_corners": True},
}


def resize_positions(
    positions: Float[Tensor, "1 R D"],
    from_grid: tuple[int, int],
    to_grid: tuple[int, int],
    convention: Literal["timm", "hf", "torchvision", "dinov2", "google"] = "timm",
    prefix: int = 1,
) -> Float[Tensor, "1 R2 D"]:
    """Learned positions for another (rows, columns) grid: read as a picture of D channels, and resized.

    The first `prefix` rows (CLS, registers) have no place on the grid and stay as they are. The five libraries
    interpolate differently, by a few per cent: take the convention of the library a checkpoint was made for.

    >>> resize_positions(torch.zeros(1, 1 + 14 * 14, 768), (14, 14), (24, 16)).shape
    torch.Size([1, 385, 768])

    Errors: ValueError where `positions` do not fit `from_grid`, for a grid without tokens, and for an unknown
    convention.
    """
    require_one_of("convention", convention, CONVENTIONS)
    from_grid, to_grid = require_pair("from_grid", from_grid), require_pair("to_grid", to_grid)
    if positions.shape[1] != prefix + from_grid[0] * from_grid[1]:
        raise ValueError(
            f"there are {positions.shape[1]} position rows: expected {prefix} + {from_grid[0]}·{from_grid[1]}; "
            "give the grid they were made for, and the number of prefix rows"
        )
    if from_grid == to_grid:
        return positions
    if convention == "dinov2":  # the 0.1 guards the size against rounding, and shifts every sample a little
        rows, columns = ((to + 0.1) / of for to, of in zip(to_grid, from_grid, strict=True))
        size: dict[str, Any] = {"scale_factor": (rows, columns)}
    else:
        size = {"size": to_grid}
    picture = positions[:, prefix:].unflatten(1, from_grid).permute(0, 3, 1, 2)  # 1 D rows columns
    picture = F.interpolate(picture.float(), **size, **CONVENTIONS[convention]).to(positions.dtype)
    return torch.cat([positions[:, :prefix], picture.flatten(2).mT], dim=1)
