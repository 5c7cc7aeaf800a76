"""Chapter 7: how weights move. AdamW, and a learning rate that climbs, then falls along a cosine."""

import math
import re

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def warm_cosine(step: int, steps: int, warmup: int) -> float:
    """The share of the highest learning rate at a step: up a straight line for `warmup` steps, then down to 0.

    The first gradients of a fresh Transformer point nowhere in particular, so its first steps are short ones.

    >>> [round(warm_cosine(step, steps=12, warmup=4), 2) for step in range(12)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04]

    Source: Loshchilov & Hutter, 2017, "SGDR", equation 5.
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def adamw(model: nn.Module, lr: float, weight_decay: float, layer_decay: float = 1.0) -> AdamW:
    """AdamW for the parameters that learn; the first layers may learn more slowly than the last.

    Weight decay is for matrices alone: biases, scales, positions and the prefix tokens are small already, and mean
    what they are. With `layer_decay` γ the block that lies k layers below the head has γᵏ of the learning rate: what
    it knows is more general, and should change less.

    >>> from vitlib.presets import create
    >>> groups = adamw(create("vit_digits_patch2_8"), lr=1.0, weight_decay=0.1, layer_decay=0.5).param_groups
    >>> sorted({group["lr"] for group in groups})  # embedding, three blocks, head
    [0.0625, 0.125, 0.25, 0.5, 1.0]

    Sources: Loshchilov & Hutter, 2019; layer-wise decay: Clark et al., 2020 (ELECTRA); Bao et al., 2022 (BEiT).
    """
    learning = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    top = max(_layer(name, 0) for name, _ in model.named_parameters()) + 1
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, each in learning:
        decay = weight_decay if name.endswith("weight") and each.ndim > 1 else 0.0
        groups.setdefault((lr * layer_decay ** (top - _layer(name, top)), decay), []).append(each)
    return AdamW(
        [
            {"params": each, "weight_decay": decay, "lr": peak, "initial_lr": peak}
            for (peak, decay), each in groups.items()
        ],
        fused=True,
    )


def schedule(optimizer: torch.optim.Optimizer, steps: int, warmup: int, done: int = 0) -> LambdaLR:
    """Warm-up and cosine over `steps`, of which `done` are behind us."""
    return LambdaLR(optimizer, lambda step: warm_cosine(step, steps, warmup), last_epoch=done - 1)


def _layer(name: str, head: int) -> int:
    """0 for the embedding, i + 1 for block i, `head` for what comes after the blocks."""
    if block := re.match(r"blocks\.(\d+)\.", name):
        return int(block[1]) + 1
    return 0 if name.startswith(("patch_embed", "cls_token", "reg_token", "pos_embed")) else head
