"""Chapters 1 to 5 on one page: the whole Vision Transformer as plain functions, with the weights handed in.

They have the names and the signatures of the functions that you write, chapter by chapter. The classes of the other
modules keep the same weights under the same names, timm's, and give the same logits; a test holds the two together.

>>> from vitlib import create
>>> images, model = torch.rand(2, 1, 8, 8), create("vit_digits_patch2_8")
>>> vit(images, dict(model.named_parameters()), patch=2, heads=4).shape
torch.Size([2, 10])
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from vitlib.vit.attention import attend, split_heads
from vitlib.vit.patches import patchify

__all__ = [
    "add_positions", "attention", "classify", "cross_entropy", "embed", "encoder_block", "multi_head_attention",
    "patchify", "prepend_cls", "vit",
]  # fmt: skip

EPS = 1e-6  # added to the variance in every LayerNorm


def embed(
    patches: Float[Tensor, "B N L"], weight: Float[Tensor, "D L"], bias: Float[Tensor, "D"]
) -> Float[Tensor, "B N D"]:
    """Chapter 2: z = E x + b, for every patch. Source: Dosovitskiy et al., 2021, equation 1."""
    return F.linear(patches, weight, bias)


def prepend_cls(tokens: Float[Tensor, "B N D"], cls: Float[Tensor, "D"]) -> Float[Tensor, "B N+1 D"]:
    """Chapter 3: the same CLS token in front of every picture's sequence."""
    return torch.cat([cls.expand(len(tokens), 1, -1), tokens], dim=1)


def add_positions(tokens: Float[Tensor, "B T D"], positions: Float[Tensor, "T D"]) -> Float[Tensor, "B T D"]:
    """Chapter 3: z_0 = tokens + E_pos, a row for each of the T = N + 1 tokens, CLS as well."""
    return tokens + positions


def attention(
    q: Float[Tensor, "*B T d"], k: Float[Tensor, "*B T d"], v: Float[Tensor, "*B T d"]
) -> Float[Tensor, "*B T d"]:
    """Chapter 4: softmax(Q Kᵀ / √d) V. Source: Vaswani et al., 2017, equation 1."""
    return attend(q, k, v)


def multi_head_attention(
    x: Float[Tensor, "B T D"],
    qkv_weight: Float[Tensor, "3*D D"],
    qkv_bias: Float[Tensor, "3*D"],
    out_weight: Float[Tensor, "D D"],
    out_bias: Float[Tensor, "D"],
    heads: int,
) -> Float[Tensor, "B T D"]:
    """Chapter 4: each head attends by itself, and one more matrix mixes their outputs."""
    q, k, v = split_heads(F.linear(x, qkv_weight, qkv_bias), heads, parts=3)  # B h T d, each
    found = attention(q, k, v).transpose(1, 2).flatten(2)  # B h T d → B T h d → B T D
    return F.linear(found, out_weight, out_bias)


def encoder_block(x: Float[Tensor, "B T D"], weights: Mapping[str, Tensor], heads: int) -> Float[Tensor, "B T D"]:
    """Chapter 4: x + attention(norm1(x)), then x + mlp(norm2(x)); the names are timm's inside a block."""
    w = weights
    branch = F.layer_norm(x, x.shape[-1:], w["norm1.weight"], w["norm1.bias"], EPS)
    qkv, proj = (w["attn.qkv.weight"], w["attn.qkv.bias"]), (w["attn.proj.weight"], w["attn.proj.bias"])
    x = x + multi_head_attention(branch, *qkv, *proj, heads)
    branch = F.layer_norm(x, x.shape[-1:], w["norm2.weight"], w["norm2.bias"], EPS)
    branch = F.gelu(F.linear(branch, w["mlp.fc1.weight"], w["mlp.fc1.bias"]))
    return x + F.linear(branch, w["mlp.fc2.weight"], w["mlp.fc2.bias"])


def classify(
    tokens: Float[Tensor, "B T D"],
    norm_weight: Float[Tensor, "D"],
    norm_bias: Float[Tensor, "D"],
    head_weight: Float[Tensor, "K D"],
    head_bias: Float[Tensor, "K"],
) -> Float[Tensor, "B K"]:
    """Chapter 5: ŷ = W LN(h_CLS) + b. Source: Dosovitskiy et al., 2021, equation 4 and section 3.1."""
    cls = F.layer_norm(tokens[:, 0], norm_weight.shape, norm_weight, norm_bias, EPS)
    return F.linear(cls, head_weight, head_bias)


def cross_entropy(logits: Float[Tensor, "B K"], labels: Int[Tensor, "B"]) -> Float[Tensor, ""]:
    """Chapter 5: −log of the probability of the right class, averaged over the batch, in nats."""
    right = logits[torch.arange(len(labels)), labels]
    return (logits.logsumexp(dim=1) - right).mean()


def vit(
    images: Float[Tensor, "B C H W"], weights: Mapping[str, Tensor], patch: int, heads: int
) -> Float[Tensor, "B K"]:
    """Chapters 1 to 5 in a row: picture → patches → tokens → blocks → logits.

    `weights` are those of a ViT with square patches, CLS and learned positions, by timm's names.
    Errors: those of patchify; KeyError where a weight is missing.
    """
    w = weights
    x = embed(patchify(images, patch), w["patch_embed.proj.weight"].flatten(1), w["patch_embed.proj.bias"])  # B N D
    x = add_positions(prepend_cls(x, w["cls_token"][0, 0]), w["pos_embed"][0])  # B T D
    depth = len({name.split(".")[1] for name in w if name.startswith("blocks.")})
    for i in range(depth):
        start = f"blocks.{i}."
        x = encoder_block(x, {name.removeprefix(start): w[name] for name in w if name.startswith(start)}, heads)
    return classify(x, *(w[name] for name in ("norm.weight", "norm.bias", "head.weight", "head.bias")))
