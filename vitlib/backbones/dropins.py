"""Chapter 8: cheaper attention in a model that is there, with the weights that it has."""

import copy
from collections.abc import Callable

from vitlib.vit.attention import Attention
from vitlib.vit.model import ViT


def with_attention(model: ViT, make: Callable[[int, Attention], Attention]) -> ViT:
    """A copy of a ViT in which `make(number of the block, its attention)` attends instead, with the same weights."""
    other = copy.deepcopy(model)
    for number, block in enumerate(other.blocks):
        instead, weight = make(number, block.attn), block.attn.qkv.weight
        instead.load_state_dict(block.attn.state_dict())
        block.attn = instead.to(weight.device, weight.dtype).train(block.training)
    return other


def check_tokens(found: int, prefix: int, rows: int, columns: int) -> None:
    """ValueError where a drop-in was made for another number of tokens."""
    if found != prefix + rows * columns:
        raise ValueError(
            f"there are {found} tokens: expected {prefix} + {rows}·{columns}, the grid that this attention was made "
            "for; model.set_input_size resizes both"
        )
