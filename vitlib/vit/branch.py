"""What may sit at the end of a branch, before it is added back: a learned scale, and dropout of two kinds.

ViT-B/16 has neither; deep and long-trained models have both.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LayerScale(nn.Module):
    """γ x, one learned factor for each of the D numbers (Touvron et al., 2021, "Going deeper")."""

    def __init__(self, width: int, init: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(init * torch.ones(width))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        return x * self.gamma


class Drop(nn.Module):
    """In training: drop single numbers (dropout), and skip the branch for whole pictures (stochastic depth).

    What is kept is scaled up, so that the mean stays. Source: Huang et al., 2016, "Stochastic depth".
    """

    def __init__(self, dropout: float, path: float) -> None:
        super().__init__()
        self.dropout, self.path = dropout, path

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        if not self.training:
            return x
        kept = F.dropout(x.new_ones(x.shape[0], 1, 1), self.path)  # 0 or 1 / (1 − path), one a picture
        return F.dropout(x, self.dropout) * kept
