"""Chapter 8: cheaper attention in a model that is there, with the weights that it has."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from vitlib.vit.attention import Attention
from vitlib.vit.model import ViT


def with_attention(model: ViT, make: Callable[[int, Attention], Attention]) -> ViT:
    """A copy of a ViT in which `make(number of the block, its attention)` attends instead, with the same weights.

    What was frozen stays frozen, and torch's random state is untouched.
    """
    other = copy.deepcopy(model)
    for number, block in enumerate(other.blocks):
        weight = block.attn.qkv.weight
        with torch.random.fork_rng(devices=[]):  # layers draw weights when they are made
            instead = make(number, block.attn).to(weight.device, weight.dtype).train(block.training)
        instead.qkv, instead.proj = block.attn.qkv, block.attn.proj
        block.attn = instead
    return other


def require_vit(model: nn.Module) -> None:
    """TypeError for a model that is not a ViT or Hybrid."""
    if not isinstance(model, ViT):
        raise TypeError(f"the model is a {type(model).__name__}: expected a ViT or a Hybrid")


def check_tokens(found: int, prefix: int, rows: int, columns: int) -> None:
    """ValueError where a drop-in was made for another number of tokens."""
    if found != prefix + rows * columns:
        raise ValueError(
            f"there are {found} tokens: expected {prefix} + {rows}·{columns}, the grid that this attention was made "
            "for; model.set_input_size resizes both"
        )
