"""Chapter 3: the row of tokens, and where each of them came from, z_0 = [x_cls, z_1, …, z_N] + E_pos.

Attention treats its tokens as a set. What tells patch 3 from patch 7 is the position vector added here. In the shapes,
T counts all tokens, N + 1 with CLS, and R the rows of E_pos.
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
    before = [token.expand(patches.shape[0], -1, -1) for token in prefix if token is not None]
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
