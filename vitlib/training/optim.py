"""Chapter 7: optimizers, and the learning rate: linear warm-up, then cosine decay."""

import math
from collections.abc import Iterator
from typing import Any, Literal

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vitlib.training.muon import Muon
from vitlib.vit.wrappers import unwrapped

NO_MATRIX = (nn.Embedding, nn.LayerNorm, nn.RMSNorm)  # their weights are tables and scales, whatever their shape
Groups = dict[tuple[float, float], list[nn.Parameter]]  # (highest learning rate, weight decay) → parameters


def warm_cosine(step: int, steps: int, warmup: int, floor: float = 0.0) -> float:
    """The learning rate at a step, as a share of the highest: up linearly for `warmup` steps, then down to `floor`.

    The first gradients of an untrained Transformer are mostly noise, so the first steps are short.

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
    """The optimizers of all trained parameters: AdamW, or Muon for the matrices of the blocks and AdamW for the rest.

    Muon needs fewer steps than AdamW, and each takes a little longer (bench/README.md). Weight decay is applied to
    matrices only: not to biases, scales, position tables and tokens. With `layer_decay` γ, the block k layers below the
    head has γᵏ times the learning rate, because lower layers are more general and should change less.

    >>> from vitlib.models import create
    >>> model = create("vit_digits_patch2_8")
    >>> (adamw,) = optimizers(model, "adamw", lr=1.0, weight_decay=0.1, layer_decay=0.5)
    >>> sorted({group["lr"] for group in adamw.param_groups})  # embedding, three blocks, head
    [0.0625, 0.125, 0.25, 0.5, 1.0]

    Errors: ValueError if every parameter is frozen; those of `layer_groups` if `layer_decay` is not 1.
    Sources: Loshchilov & Hutter, 2019 (AdamW); Jordan et al., 2024, and Liu et al., 2025 (Muon, and its scale, which
    lets it share AdamW's learning rate); Clark et al., 2020 (ELECTRA: layer-wise decay).
    """
    depth, top = _depths(model, layer_decay)
    by_muon: Groups = {}
    by_adamw: Groups = {}
    for name, owner, each in _weights(model):
        if each.requires_grad:
            matrix = name.endswith("weight") and each.ndim > 1 and not isinstance(owner, NO_MATRIX)
            peak = lr * layer_decay ** (top - depth.get(id(each), top))
            dense = matrix and each.shape[1] > 1  # not a depthwise convolution
            chosen = by_muon if kind == "muon" and dense and "blocks." in name else by_adamw
            chosen.setdefault((peak, weight_decay if matrix else 0.0), []).append(each)
    if not by_muon and not by_adamw:
        raise ValueError(
            "nothing is left to learn: every parameter is frozen; call requires_grad_() on what is to learn"
        )
    made: list[Optimizer] = []
    if by_muon:
        made.append(Muon(_listed(by_muon)))
    if by_adamw:
        made.append(AdamW(_listed(by_adamw), fused=True))
    return made


def schedule(optimizer: Optimizer, steps: int, warmup: int, floor: float = 0.0, done: int = 0) -> LambdaLR:
    """`warm_cosine` over `steps` steps as a scheduler of torch, after `done` steps."""
    return LambdaLR(optimizer, lambda step: warm_cosine(step, steps, warmup, floor), last_epoch=done - 1)


def _listed(groups: Groups) -> list[dict[str, Any]]:
    return [
        {"params": each, "weight_decay": decay, "lr": peak, "initial_lr": peak}
        for (peak, decay), each in groups.items()
    ]


def layer_groups(model: nn.Module) -> list[list[Any]]:
    """The parts of a model at each depth, from the embedding to the head, given by its method `layer_groups`.

    Errors: ValueError for a model without that method, and for parameters that are in no group.
    """
    bare: Any = unwrapped(model)
    if not hasattr(bare, "layer_groups"):
        raise ValueError(
            f"a {type(bare).__name__} does not say which layer lies above which: leave layer_decay at 1, or give it a "
            "method layer_groups(), which lists its parts from the embedding to the head"
        )
    groups: list[list[Any]] = bare.layer_groups()
    known = {id(each) for group in groups for part in group for each in parameters_of(part)}
    if left := [name for name, each in bare.named_parameters() if id(each) not in known]:
        raise ValueError(f"layer_groups() of the {type(bare).__name__} leaves out {', '.join(left[:5])}: add them")
    return groups


def parameters_of(part: Any) -> list[nn.Parameter]:
    """The parameters of a module, or a parameter in a list; [] for anything else."""
    if isinstance(part, nn.Module):
        return [*part.parameters()]
    return [part] if isinstance(part, nn.Parameter) else []


def _depths(model: nn.Module, layer_decay: float) -> tuple[dict[int, int], int]:
    """The depth of each parameter (by its id), and the largest depth."""
    groups = layer_groups(model) if layer_decay != 1 else []
    depths: dict[int, int] = {}
    for number, group in enumerate(groups):
        for part in group:
            depths |= {id(each): number for each in parameters_of(part) if id(each) not in depths}
    return depths, max(len(groups) - 1, 0)


def _weights(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Name, module and parameter, for each parameter once, in the order of `named_parameters`."""
    seen: set[int] = set()
    for prefix, module in unwrapped(model).named_modules():
        for name, each in module.named_parameters(prefix, recurse=False):
            if id(each) not in seen:
                seen.add(id(each))
                yield name, module, each
