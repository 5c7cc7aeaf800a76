"""Chapter 4, first half: every token looks at every token, Attn = softmax(Q Kᵀ / √d) V.

Shapes: B pictures, T tokens, D numbers in a token, h heads of d = D / h numbers each.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

EVERY = slice(None)  # all the tokens


def attention_weights(q: Float[Tensor, "*B Q d"], k: Float[Tensor, "*B T d"]) -> Float[Tensor, "*B Q T"]:
    """softmax(Q Kᵀ / √d): how much each query takes from each token. Every row sums to 1.

    >>> attention_weights(torch.zeros(1, 2), torch.zeros(4, 2))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])

    Source: Vaswani et al., 2017, equation 1.
    """
    scores = (q / q.shape[-1] ** 0.5) @ k.transpose(-2, -1)  # dividing Q is less work than dividing every score
    return scores.softmax(dim=-1)


def attend(
    q: Float[Tensor, "*B Q d"], k: Float[Tensor, "*B T d"], v: Float[Tensor, "*B T d"], fused: bool | None = False
) -> Float[Tensor, "*B Q d"]:
    """softmax(Q Kᵀ / √d) V, as it is written or by a fused kernel, which never stores the Q × T weights.

    `fused=None` takes the faster one. That is the fused kernel, except in bfloat16 on a CPU: there it is up to
    five times slower than the formula in training (bench/README.md), until a row is too long to store.
    """
    if fused is None:
        fused = not (q.device.type == "cpu" and q.dtype == torch.bfloat16 and k.shape[-2] <= 1024)
    return F.scaled_dot_product_attention(q, k, v) if fused else attention_weights(q, k) @ v


def split_heads(x: Float[Tensor, "B T C"], heads: int, parts: int) -> Float[Tensor, "parts B h T d"]:
    """Cut the last axis into `parts` (such as q, k and v), and each part into heads."""
    return x.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4)


class Attention(nn.Module):
    """Multi-head self-attention: [B, T, D] → [B, T, D].

    One matrix gives q, k and v; each head attends by itself; one more matrix mixes what the heads found.

    >>> attention = Attention(embed_dim=192, num_heads=3)
    >>> attention(torch.zeros(2, 197, 192)).shape
    torch.Size([2, 197, 192])

    Errors: ValueError where the heads do not divide the width. Source: Vaswani et al., 2017, section 3.2.2.
    """

    def __init__(self, embed_dim: int, num_heads: int, fused: bool | None = None) -> None:
        super().__init__()
        check_heads(embed_dim, num_heads)
        self.heads, self.fused = num_heads, fused
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Float[Tensor, "B T D"], rows: slice = EVERY) -> Float[Tensor, "B Q D"]:
        """The answers of the tokens in `rows`; they attend to every token, whatever the rows."""
        q, k, v = split_heads(self.qkv(x), self.heads, parts=3)  # B h T d, each
        x = attend(q[:, :, rows], k, v, self.fused)  # B h Q d
        return self.proj(x.transpose(1, 2).flatten(2))  # B Q h d → B Q D

    def set_grid(self, rows: int, columns: int) -> None:
        """Attend to patches of a grid of rows × columns: nothing to do, as this attention knows no neighbours."""

    def weights(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B h T T"]:
        """The attention maps that a fused kernel never stores, computed again from q and k."""
        q, k, _ = split_heads(self.qkv(x), self.heads, parts=3)
        with torch.autocast(x.device.type, enabled=False):
            return attention_weights(q.float(), k.float())


def check_heads(width: int, heads: int) -> None:
    """ValueError where `heads` do not share `width` evenly."""
    if width % heads:
        near = [n for n in range(1, width + 1) if width % n == 0]
        near = sorted(sorted(near, key=lambda n: abs(n - heads))[:3])
        raise ValueError(f"{heads} heads cannot share a width of {width}; {', '.join(map(str, near))} heads can")
