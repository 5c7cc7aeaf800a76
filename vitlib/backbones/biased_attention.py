"""Attention with a bias on its scores: what windows and merged tokens share.

A bias says for each pair of tokens how much more, or less, one attends to the other than their content says. −∞ is a
mask: no attention at all.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def attend_with_bias(
    q: Float[Tensor, "V h Q d"],
    k: Float[Tensor, "V h T d"],
    v: Float[Tensor, "V h T d"],
    bias: Float[Tensor, "W g Q2 T"],
    fused: bool | None = None,
) -> Float[Tensor, "V h Q d"]:
    """softmax(Q Kᵀ / √d + bias) V, as written or by a fused kernel; the biases repeat along V.

    `fused=None` takes the faster one. On a CPU that is the fused kernel in inference; it has no gradient for the bias
    there, and bfloat16 slows it down. torch.jit.trace records the formula, which serves training and inference.
    """
    if fused is None:
        formula = torch.is_grad_enabled() or q.dtype == torch.bfloat16 or torch.jit.is_tracing()
        fused = q.device.type != "cpu" or not formula
    if fused:
        if bias.shape[0] == q.shape[0] or bias.shape[0] == 1:
            mask = bias
        else:
            mask = bias.repeat(q.unflatten(0, (-1, bias.shape[0])).shape[0], 1, 1, 1)
        return F.scaled_dot_product_attention(q, k, v, mask.to(q.dtype))
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()  # the products would copy them themselves, more slowly
    scores = (q @ k.transpose(-2, -1)).unflatten(0, (-1, bias.shape[0]))  # B W h Q T
    scores = torch.add(bias, scores, alpha=q.shape[-1] ** -0.5)  # Q Kᵀ / √d + bias, in one pass
    return scores.flatten(0, 1).softmax(dim=-1).to(v.dtype) @ v
