"""Chapter 7: how weights move. AdamW, and a learning rate that climbs, then falls along a cosine."""

import math
import re
from typing import Any, Literal

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vitlib.training.muon import Muon

Groups = dict[tuple[float, float], list[nn.Parameter]]  # by highest learning rate and weight decay


def warm_cosine(step: int, steps: int, warmup: int, floor: float = 0.0) -> float:
    """The share of the highest learning rate at a step: up a straight line for `warmup` steps, then down to `floor`.

    The first gradients of a fresh Transformer point nowhere in particular, so its first steps are short ones.

    >>> [round(warm_cosine(step, steps=12, warmup=4), 2) for step in range(12)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04]

    Source: Loshchilov & Hutter, 2017, "SGDR", equation 5.
    """
    if step < warmup:
        return (step + 1) / warmup
    down = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
    return floor + (1 - floor) * down


def optimizers(
    model: nn.Module, kind: Literal["adamw", "muon"], lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[Optimizer]:
    """What moves the parameters that learn: AdamW alone, or Muon for the blocks' matrices and AdamW for the rest.

    Muon turns a matrix's gradient into the nearest orthogonal matrix, so that every direction moves alike; it needs
    fewer steps than AdamW, and each costs a little more (bench/README.md). Weight decay is for matrices alone: biases,
    scales, positions and the prefix tokens are small already, and mean what they are. With `layer_decay` γ the block
    that lies k layers below the head has γᵏ of the learning rate: what it knows is more
    general, and should change less.

    >>> from vitlib.models import create
    >>> model = create("vit_digits_patch2_8")
    >>> (adamw,) = optimizers(model, "adamw", lr=1.0, weight_decay=0.1, layer_decay=0.5)
    >>> sorted({group["lr"] for group in adamw.param_groups})  # embedding, three blocks, head
    [0.0625, 0.125, 0.25, 0.5, 1.0]

    Sources: Loshchilov & Hutter, 2019 (AdamW); Jordan et al., 2024, and Liu et al., 2025 (Muon, and its scale, which
    lets it share AdamW's learning rate); Clark et al., 2020 (ELECTRA: layer-wise decay).
    """
    top = max(layer_of(name, 0) for name, _ in model.named_parameters()) + 1
    by_muon: Groups = {}
    by_adamw: Groups = {}
    for name, each in model.named_parameters():
        if each.requires_grad:
            matrix = name.endswith("weight") and each.ndim > 1
            peak = lr * layer_decay ** (top - layer_of(name, top))
            dense = each.ndim > 1 and each.shape[1] > 1  # not a depthwise convolution
            chosen = by_muon if kind == "muon" and dense and "blocks." in name else by_adamw
            chosen.setdefault((peak, weight_decay if matrix else 0.0), []).append(each)
    made: list[Optimizer] = []
    if by_muon:
        made.append(Muon(_listed(by_muon)))
    if by_adamw:
        made.append(AdamW(_listed(by_adamw), fused=True))
    return made


def schedule(optimizer: Optimizer, steps: int, warmup: int, floor: float = 0.0, done: int = 0) -> LambdaLR:
    """Warm-up and cosine over `steps`, of which `done` are behind us."""
    return LambdaLR(optimizer, lambda step: warm_cosine(step, steps, warmup, floor), last_epoch=done - 1)


def _listed(groups: Groups) -> list[dict[str, Any]]:
    return [
        {"params": each, "weight_decay": decay, "lr": peak, "initial_lr": peak}
        for (peak, decay), each in groups.items()
    ]


def layer_of(name: str, head: int) -> int:
    """0 for the embedding, i + 1 for block i, `head` for what comes after the blocks."""
    if block := re.match(r"blocks\.(\d+)\.", name):
        return int(block[1]) + 1
    return 0 if name.startswith(("patch_embed", "cls_token", "reg_token", "pos_embed")) else head
