"""Fields of a model's configuration that the shapes of its tensors show, for each family. Names are ours."""

import re
from collections.abc import Mapping
from math import isqrt, nextafter
from typing import Any

from torch import Tensor

from vitlib.vit.fields import side_of
from vitlib.weights.check import sides_of
from vitlib.weights.files import CheckpointError

STEM = "patch_embed.backbone."  # a hybrid's: convolutions before the ViT


def of_vit(ours: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ViT or a Hybrid."""
    width, channels, *sides = sides_of(ours, "patch_embed.proj.weight", axes=4)
    seen: dict[str, Any] = {"patch_size": side_of(tuple(sides)), "in_chans": channels}
    if layers := {name.removeprefix(STEM).split(".")[0] for name in ours if name.startswith(STEM)}:
        kernels = [sides_of(ours, f"{STEM}{layer}.conv.weight", axes=4) for layer in range(len(layers))]
        seen = {"patch_size": 2 ** len(layers), "in_chans": kernels[0][1], "stem": tuple(each[0] for each in kernels)}
    pooling: dict[str, Any] = {"global_pool": "avg", "norm_before_pool": "fc_norm.weight" not in ours}
    if "attn_pool.latent" in ours or ("cls_token" in ours and "fc_norm.weight" not in ours):
        pooling = {"global_pool": "map" if "attn_pool.latent" in ours else "token"}
    return {
        **seen,
        "num_classes": sides_of(ours, "head.weight", axes=2)[0] if "head.weight" in ours else 0,
        "embed_dim": width,
        "depth": _depths(ours)[0],
        "mlp_ratio": _ratio(ours, "blocks.0.mlp.fc1.weight", width, given),
        "class_token": "cls_token" in ours,
        "reg_tokens": sides_of(ours, "reg_token", axes=3)[1] if "reg_token" in ours else 0,
        "layer_scale": 1.0 if "blocks.0.ls1.gamma" in ours else None,
        **pooling,
    }


def of_swin(ours: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Swin. Its tables of relative positions show the heads and the window size."""
    width, channels, patch, _ = sides_of(ours, "patch_embed.proj.weight", axes=4)
    depths = _depths(ours)
    tables = [
        sides_of(ours, f"layers.{stage}.blocks.0.attn.relative_position_bias_table", axes=2)
        for stage in range(len(depths))
    ]
    rows = max(rows for rows, _ in tables)  # (2 window − 1)²: timm has fewer where a grid is smaller than a window
    side = isqrt(rows)
    if side**2 != rows or side % 2 == 0 or "window_size" in given:
        if (2 * given.get("window_size", 0) - 1) ** 2 < rows:
            raise CheckpointError(f"tables of {rows} distances do not show how large windows are; give window_size=")
        side = 2 * given["window_size"] - 1
    return {
        "patch_size": patch,
        "in_chans": channels,
        "num_classes": sides_of(ours, "head.fc.weight", axes=2)[0] if "head.fc.weight" in ours else 0,
        "embed_dim": width,
        "depths": depths,
        "num_heads": tuple(heads for _, heads in tables),
        "window_size": (side + 1) // 2,
        "mlp_ratio": _ratio(ours, "layers.0.blocks.0.mlp.fc1.weight", width, given),
    }


def of_convnext(ours: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ConvNeXt."""
    _, channels, patch, _ = sides_of(ours, "stem.0.weight", axes=4)
    depths = _depths(ours)
    kernels = [sides_of(ours, f"stages.{stage}.blocks.0.conv_dw.weight", axes=4) for stage in range(len(depths))]
    return {
        "patch_size": patch,
        "in_chans": channels,
        "num_classes": sides_of(ours, "head.fc.weight", axes=2)[0] if "head.fc.weight" in ours else 0,
        "dims": tuple(width for width, *_ in kernels),
        "depths": depths,
        "kernel_size": kernels[0][-1],
        "mlp_ratio": _ratio(ours, "stages.0.blocks.0.mlp.fc1.weight", kernels[0][0], given),
    }


def _depths(ours: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The number of blocks of each stage; a ViT has one stage."""
    counts: dict[int, int] = {}
    for name in ours:
        if found := re.match(r"(?:\w+\.(\d+)\.)?blocks\.(\d+)\.", name):
            stage, block = int(found[1] or 0), int(found[2])
            counts[stage] = max(counts.get(stage, 0), block + 1)
    if sum(counts.values()) > len(ours):
        raise CheckpointError(f"there are {len(ours)} tensors, and one of them is of block {max(counts.values()) - 1}")
    return tuple(counts.get(stage, 0) for stage in range(max(counts) + 1))


def _ratio(ours: Mapping[str, Tensor], name: str, width: int, given: Mapping[str, Any]) -> float:
    """The `mlp_ratio`: the given one, if it gives the same hidden dimension, else the exact ratio."""
    hidden, _ = sides_of(ours, name, axes=2)
    ratio = hidden / width
    if int(width * given.get("mlp_ratio", ratio)) == hidden:
        return given.get("mlp_ratio", ratio)
    return ratio if int(width * ratio) == hidden else nextafter(ratio, hidden)  # so that int() gives hidden
