"""Chapter 4, second half: the encoder block, attention and an MLP, each normalised before and added back after.

Attention lets tokens look at one another; the MLP then works on each token by itself.
"""

from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.attention import EVERY, Attention
from vitlib.vit.branch import Drop, LayerScale


class MLP(nn.Module):
    """fc2(GELU(fc1(x))), token by token: widen, apply the activation, narrow.

    >>> import torch
    >>> MLP(embed_dim=192, hidden=768)(torch.zeros(2, 197, 192)).shape
    torch.Size([2, 197, 192])
    """

    def __init__(self, embed_dim: int, hidden: int, gelu: str = "erf") -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dim, hidden)
        self.act = nn.GELU(approximate="tanh" if gelu == "tanh" else "none")
        self.fc2 = nn.Linear(hidden, embed_dim)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm encoder block: [B, T, D] → [B, T, D].

        x = x + attn(norm1(x))
        x = x + mlp(norm2(x))

    >>> import torch
    >>> block = Block(embed_dim=192, num_heads=3)
    >>> block(torch.zeros(2, 197, 192)).shape
    torch.Size([2, 197, 192])

    `rows` asks for the answers of some tokens only. The last block of a model whose classifier reads CLS needs one
    row instead of N + 1: the same logits for 6 % less work in ViT-S/16.
    Source: Dosovitskiy et al., 2021, equations 2 and 3.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        eps: float = 1e-6,
        gelu: str = "erf",
        layer_scale: float | None = None,
        fused: bool | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps)
        self.attn = Attention(embed_dim, num_heads, fused)
        self.ls1 = nn.Identity() if layer_scale is None else LayerScale(embed_dim, layer_scale)
        self.norm2 = nn.LayerNorm(embed_dim, eps)
        self.mlp = MLP(embed_dim, int(embed_dim * mlp_ratio), gelu)
        self.ls2 = nn.Identity() if layer_scale is None else LayerScale(embed_dim, layer_scale)
        self.drop = Drop(dropout, drop_path) if dropout or drop_path else nn.Identity()

    def forward(self, x: Float[Tensor, "B T D"], rows: slice = EVERY) -> Float[Tensor, "B Q D"]:
        x = x[:, rows] + self.drop(self.ls1(self.attn(self.norm1(x), rows)))
        return x + self.drop(self.ls2(self.mlp(self.norm2(x))))

    def steps(self, x: Float[Tensor, "B T D"]) -> dict[str, Float[Tensor, "B T D"]]:
        """`forward`, one named step at a time: each branch's input and output, and the sum."""
        norm1 = self.norm1(x)
        attn = self.drop(self.ls1(self.attn(norm1)))
        middle = x + attn
        norm2 = self.norm2(middle)
        mlp = self.drop(self.ls2(self.mlp(norm2)))
        return {"norm1": norm1, "attn": attn, "+attn": middle, "norm2": norm2, "mlp": mlp, "+mlp": middle + mlp}
