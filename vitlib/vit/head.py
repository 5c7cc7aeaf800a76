"""Chapter 5: from the row of tokens to one vector, and from that to a class, ŷ = W h + b."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.attention import check_heads, split_heads
from vitlib.vit.encoder import MLP


def read_cls(tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
    """The first token: CLS, which has learned to sum the picture up."""
    return tokens[:, 0]


def read_mean(tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
    """The average of the tokens; hand it the patches alone."""
    return tokens.mean(dim=1)


class AttentionPool(nn.Module):
    """One learned query looks at all patches, and an MLP works on what it found: [B, N, D] → [B, D].

    >>> AttentionPool(width=192, heads=3)(torch.zeros(2, 196, 192)).shape
    torch.Size([2, 192])

    Source: Zhai et al., 2022, "Scaling vision transformers", section 3.4 (multi-head attention pooling).
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0, eps: float = 1e-6, gelu: str = "erf") -> None:
        super().__init__()
        check_heads(width, heads)
        self.heads = heads
        self.latent = nn.Parameter(torch.zeros(1, 1, width))
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, int(width * mlp_ratio), gelu)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        (q,) = split_heads(self.q(self.latent.expand(len(tokens), -1, -1)), self.heads, parts=1)  # B h 1 d
        k, v = split_heads(self.kv(tokens), self.heads, parts=2)  # B h N d, each
        x = F.scaled_dot_product_attention(q, k, v)
        x = self.proj(x.transpose(1, 2).flatten(2))  # B 1 D
        return (x + self.mlp(self.norm(x)))[:, 0]
