"""Chapter 8: a Swin or a ConvNeXt from its checkpoint alone: its shapes show every choice but the size of pictures."""

from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.swin import SwinConfig
from vitlib.vit.fields import fitted_statistics
from vitlib.weights.backbones import staged_layout, to_timm
from vitlib.weights.channels import with_channels
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.fill import filled
from vitlib.weights.hubconfig import read_beside
from vitlib.weights.misfits import check_told, sides_of

# what no tensor shows: a model that is to be filled says it first, unless the file's library or its files do
UNSEEN = ("eps", "head_eps", "gelu", "convention", "mean", "std")
_IMPLIED = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def load_staged(
    state: Mapping[str, Tensor],
    path: Path | None,
    told: Mapping[str, Any],
    like: Any = None,
    in_chans: int | None = None,
    num_classes: int | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> Any:
    """The model whose weights these are; for other `num_classes` with a new head. `told` are fields of its config.

    Errors: CheckpointError for what does not fit, or cannot be seen.
    """
    layout, ours = staged_layout(state) or "timm", to_timm(state)
    kind: Any = SwinConfig if "patch_embed.proj.weight" in ours else ConvNeXtConfig
    beside = read_beside(path, layout, kind.__name__.removesuffix("Config"), _IMPLIED) if path else {}
    beside.pop("global_pool", None)
    asked = {field: getattr(like, field) for field in UNSEEN if isinstance(like, kind) and hasattr(like, field)}
    if kind is SwinConfig:
        asked = {**asked, "convention": "hf" if layout == "official" else layout} if layout != "timm" else asked
    ours, adapted = with_channels(ours, in_chans)
    facts = {**asked, **beside, **told, **adapted}
    config = _config(kind, ours, fitted_statistics({**_IMPLIED, **facts}, in_chans) if adapted and in_chans else facts)
    name = kind.__name__.removesuffix("Config")
    model = filled(
        config, ours, f"a {name} of depths {config.depths}", num_classes=num_classes, dtype=dtype, generator=generator
    )
    return model.to(dtype or torch.float32).eval()


def _config(kind: Any, ours: State, told: Mapping[str, Any]) -> SwinConfig | ConvNeXtConfig:
    seen = _swin(ours, told) if kind is SwinConfig else _convnext(ours)
    check_told(seen, told, kind)
    grey = {} if seen["in_chans"] == 3 else {"mean": (0.5,), "std": (0.5,)}
    if seen["num_classes"] != len(told.get("class_names", ())):
        told = {field: value for field, value in told.items() if field != "class_names"}
    try:
        return kind(**{**grey, **told, **seen})
    except (TypeError, ValueError) as error:
        remedy = "" if "image_size" in told else "; nothing in the weights shows it: give image_size=(height, width)"
        raise CheckpointError(f"{error}{remedy}") from None


def _swin(ours: State, told: Mapping[str, Any]) -> dict[str, Any]:
    width, channels, patch, _ = sides_of(ours, "patch_embed.proj.weight", axes=4)
    depths = _depths(ours, "layers")
    tables = [
        sides_of(ours, f"layers.{stage}.blocks.0.attn.relative_position_bias_table", axes=2)
        for stage in range(len(depths))
    ]
    rows = max(rows for rows, _ in tables)  # (2 window − 1)²: timm has fewer where a grid is smaller than a window
    side = isqrt(rows)
    if side**2 != rows or side % 2 == 0 or "window_size" in told:
        if (2 * told.get("window_size", 0) - 1) ** 2 < rows:
            raise CheckpointError(f"tables of {rows} distances do not show how large windows are; give window_size=")
        side = 2 * told["window_size"] - 1
    return {
        "patch_size": patch,
        "in_chans": channels,
        "num_classes": len(ours["head.fc.weight"]) if "head.fc.weight" in ours else 0,
        "embed_dim": width,
        "depths": depths,
        "num_heads": tuple(heads for _, heads in tables),
        "window_size": (side + 1) // 2,
        "mlp_ratio": sides_of(ours, "layers.0.blocks.0.mlp.fc1.weight", axes=2)[0] / width,
    }


def _convnext(ours: State) -> dict[str, Any]:
    _, channels, patch, _ = sides_of(ours, "stem.0.weight", axes=4)
    depths = _depths(ours, "stages")
    kernels = [sides_of(ours, f"stages.{stage}.blocks.0.conv_dw.weight", axes=4) for stage in range(len(depths))]
    return {
        "patch_size": patch,
        "in_chans": channels,
        "num_classes": len(ours["head.fc.weight"]) if "head.fc.weight" in ours else 0,
        "dims": tuple(width for width, *_ in kernels),
        "depths": depths,
        "kernel_size": kernels[0][-1],
        "mlp_ratio": sides_of(ours, "stages.0.blocks.0.mlp.fc1.weight", axes=2)[0] / kernels[0][0],
    }


def _depths(ours: State, stages: str) -> tuple[int, ...]:
    """How many blocks each stage has."""
    numbers = {tuple(name.split(".")[1:4:2]) for name in ours if name.startswith(stages) and ".blocks." in name}
    last = max(int(stage) for stage, _ in numbers)
    return tuple(sum(int(stage) == i for stage, _ in numbers) for i in range(last + 1))
