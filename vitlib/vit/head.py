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


def fresh_classifier(width: int, classes: int, like: Tensor, generator: torch.Generator | None = None) -> nn.Module:
    """Small random weights and no bias, so that every class starts as likely; with 0 classes the identity.

    The weights are drawn on the CPU, and lie where `like` does, in its dtype.
    """
    if not isinstance(classes, int) or isinstance(classes, bool):
        raise TypeError(f"num_classes is {classes!r} ({type(classes).__name__}): expected a whole number")
    if classes < 0:
        raise ValueError(f"num_classes is {classes}: expected 0 (features) or more")
    if not classes:
        return nn.Identity()
    head = nn.utils.skip_init(nn.Linear, width, classes, device="cpu")
    nn.init.trunc_normal_(head.weight, std=0.02, generator=generator)
    nn.init.zeros_(head.bias)
    return head.to(like.device, like.dtype)


class AttentionPool(nn.Module):
    """One learned query looks at all patches, and an MLP works on what it found: [B, N, D] → [B, D].

    >>> AttentionPool(embed_dim=192, num_heads=3)(torch.zeros(2, 196, 192)).shape
    torch.Size([2, 192])

    Source: Zhai et al., 2022, "Scaling vision transformers", section 3.4 (multi-head attention pooling).
    """

    def __init__(
        self, embed_dim: int, num_heads: int, mlp_ratio: float = 4.0, eps: float = 1e-6, gelu: str = "erf"
    ) -> None:
        super().__init__()
        check_heads(embed_dim, num_heads)
        self.heads = num_heads
        self.latent = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.q = nn.Linear(embed_dim, embed_dim)
        self.kv = nn.Linear(embed_dim, 2 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim, eps)
        self.mlp = MLP(embed_dim, int(embed_dim * mlp_ratio), gelu)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        (q,) = split_heads(self.q(self.latent.expand(tokens.shape[0], -1, -1)), self.heads, parts=1)  # B h 1 d
        k, v = split_heads(self.kv(tokens), self.heads, parts=2)  # B h N d, each
        x = F.scaled_dot_product_attention(q, k, v)
        x = self.proj(x.transpose(1, 2).flatten(2))  # B 1 D
        return (x + self.mlp(self.norm(x)))[:, 0]
