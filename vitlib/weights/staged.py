"""Chapter 8: a Swin or a ConvNeXt from its checkpoint alone: its shapes show every choice but the size of pictures."""

from collections.abc import Mapping
from dataclasses import fields, replace
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitlib.backbones.convnext import ConvNeXt, ConvNeXtConfig
from vitlib.backbones.stages import Staged
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.weights.backbones import fill, to_timm
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.hubconfig import read_beside
from vitlib.weights.misfits import check_numbers, shape_of

HEAD = ("head.fc.weight", "head.fc.bias")


def load_staged(
    state: Mapping[str, Tensor],
    told: Mapping[str, Any],
    num_classes: int | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> Staged:
    """The model whose weights these are; for other `num_classes` with a new head. `told` are fields of its config.

    Errors: CheckpointError for what does not fit, or cannot be seen.
    """
    ours = to_timm(state)
    check_numbers(ours, dtype)
    config = _config(ours, told)
    wanted = config
    if num_classes is not None and num_classes != config.num_classes:
        wanted = replace(config, num_classes=num_classes, class_names=())
    model = Swin(wanted, generator) if isinstance(wanted, SwinConfig) else ConvNeXt(wanted, generator)
    if wanted.num_classes != config.num_classes:
        own = {name: each for name, each in model.state_dict().items() if name in HEAD}
        ours = {name: each for name, each in ours.items() if name not in HEAD} | own
    fill(model, ours)
    return model.to(dtype or torch.float32).eval()


def told_beside(path: Path | None) -> dict[str, Any]:
    """The size of the pictures, and their mean and deviation, where a config.json beside the file says them."""
    found = {**read_beside(path, "timm"), **read_beside(path, "hf")} if path else {}
    return {field: found[field] for field in ("image_size", "mean", "std") if field in found}


def _config(ours: State, told: Mapping[str, Any]) -> SwinConfig | ConvNeXtConfig:
    kind: Any = SwinConfig if "patch_embed.proj.weight" in ours else ConvNeXtConfig
    seen = _swin(ours) if kind is SwinConfig else _convnext(ours)
    if unknown := told.keys() - {field.name for field in fields(kind)}:
        name = kind.__name__.removesuffix("Config")
        raise CheckpointError(f"the tensors are of a {name}, which has no {', '.join(sorted(unknown))}")
    for field, value in seen.items():
        if told.get(field, value) != value:
            raise CheckpointError(
                f"the tensors show {field}={value!r}, and an argument, a note or config.json says {told[field]!r}; is "
                "that about another checkpoint?"
            )
    grey = {} if seen["in_chans"] == 3 else {"mean": (0.5,), "std": (0.5,)}
    try:
        return kind(**{**grey, **told, **seen})
    except ValueError as error:
        remedy = "" if "image_size" in told else "; nothing in the weights shows it: give image_size=(height, width)"
        raise CheckpointError(f"{error}{remedy}") from None


def _swin(ours: State) -> dict[str, Any]:
    width, channels, patch, _ = _shape(ours, "patch_embed.proj.weight", axes=4)
    depths = _depths(ours, "layers")
    tables = [
        _shape(ours, f"layers.{stage}.blocks.0.attn.relative_position_bias_table", axes=2)
        for stage in range(len(depths))
    ]
    return {
        "patch_size": patch,
        "in_chans": channels,
        "num_classes": len(ours[HEAD[0]]) if HEAD[0] in ours else 0,
        "embed_dim": width,
        "depths": depths,
        "num_heads": tuple(heads for _, heads in tables),
        "window_size": (isqrt(tables[0][0]) + 1) // 2,  # a table has (2 window − 1)² rows
        "mlp_ratio": _shape(ours, "layers.0.blocks.0.mlp.fc1.weight", axes=2)[0] / width,
    }


def _convnext(ours: State) -> dict[str, Any]:
    _, channels, patch, _ = _shape(ours, "stem.0.weight", axes=4)
    depths = _depths(ours, "stages")
    kernels = [_shape(ours, f"stages.{stage}.blocks.0.conv_dw.weight", axes=4) for stage in range(len(depths))]
    return {
        "patch_size": patch,
        "in_chans": channels,
        "num_classes": len(ours[HEAD[0]]) if HEAD[0] in ours else 0,
        "dims": tuple(width for width, *_ in kernels),
        "depths": depths,
        "kernel_size": kernels[0][-1],
        "mlp_ratio": _shape(ours, "stages.0.blocks.0.mlp.fc1.weight", axes=2)[0] / kernels[0][0],
    }


def _depths(ours: State, stages: str) -> tuple[int, ...]:
    """How many blocks each stage has."""
    numbers = {tuple(name.split(".")[1:4:2]) for name in ours if name.startswith(stages) and ".blocks." in name}
    last = max(int(stage) for stage, _ in numbers)
    return tuple(sum(int(stage) == i for stage, _ in numbers) for i in range(last + 1))


def _shape(ours: State, name: str, axes: int) -> tuple[int, ...]:
    if name not in ours:
        raise CheckpointError(f"the tensor that we call {name} is missing; fetch the whole checkpoint")
    if ours[name].ndim != axes:
        raise CheckpointError(f"the tensor that we call {name} is {shape_of(ours[name])}: expected {axes} axes")
    return tuple(ours[name].shape)
