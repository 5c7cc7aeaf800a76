"""Checks of a checkpoint. Messages list all names that do not fit, grouped by block, each with the nearest name."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vitlib.vit.config import ViTConfig
from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import Layout

# fields in which two models may differ: the same weights fit both
FREE = ("class_names", "fused", "trim", "dropout", "drop_path_rate", "mean", "std", "resize", "convention",
        "layer_scale")  # fmt: skip
# models that vitlib does not have, and parts of names by which they can be recognised
SIGNS = {
    "DINOv3, which rotates queries and keys instead of adding positions": ("storage_tokens", "rope_embed"),
    "the second version, Swin V2": ("logit_scale", "cpb_mlp", "continuous_position_bias"),
    "the second version, ConvNeXt V2": (".grn.",),
    "a ViT with SwiGLU in place of the MLP, such as DINOv2's giant": ("mlp.w12", "weights_in"),
    "a distilled DeiT, which has a second summary token and a second head": ("distillation_token", "dist_token"),
    "a ViT with one more layer before the head; without its head it fits: drop the head too": ("pre_logits",),
    "a model with relative positions, such as Swin or BEiT": ("relative_position",),
    "a model of pictures and texts, such as CLIP": ("text_model",),
    "a model of pictures and texts, such as SigLIP; name its text half in drop=": ("params/txt",),
    "a ResNet": ("layer1.0.conv1",),
    "the picture tower of a CLIP, which normalises before its first block": ("norm_pre", "pre_layrnorm"),
    "a CLIP as OpenAI names it; timm and big_vision have towers that fit": ("resblocks",),
    "the picture tower of CLIP or SigLIP as transformers names it; timm's SigLIP fits": ("vision_model",),
    "an encoder with a decoder, such as a masked autoencoder; name the decoder in drop=": ("decoder",),
}


def looks_like(names: Iterable[str]) -> str:
    """A hint for a message, such as ` (this looks like a ResNet)`, or ""."""
    names = list(names)
    found = [what for what, parts in SIGNS.items() if any(part in name for name in names for part in parts)]
    return f" (this looks like {found[0]})" if found else ""


def grouped(names: Iterable[str], among: Iterable[str] = ()) -> list[str]:
    """The names as lines of a message. Names that differ only in the number of their block share a line, and each line
    also has the nearest name of `among`.

    >>> grouped(["blocks.0.norm1.bais", "blocks.1.norm1.bais", "head.bias"], among=["blocks.0.norm1.bias"])
    ['blocks.#.norm1.bais (# = 0…1): the nearest is blocks.0.norm1.bias', 'head.bias']
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\d+", "#", name, count=1), []).append(name)
    among, lines = list(among), []
    for pattern, members in groups.items():
        numbers = sorted(int(number) for name in members for number in re.findall(r"\d+", name)[:1])
        line = f"{pattern} (# = {_range(numbers)})" if len(members) > 1 else members[0]
        near = difflib.get_close_matches(members[0], among, n=1, cutoff=0.8)
        lines.append(line + (f": the nearest is {near[0]}" if near else ""))
    return lines


def _range(numbers: list[int]) -> str:
    """0, 1, 2 as `0…2`; numbers with gaps one by one."""
    whole = numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{numbers[0]}…{numbers[-1]}" if whole else ", ".join(map(str, numbers))


def check_fit(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str, layout: Layout, left: Iterable[str] = ()
) -> None:
    """Raise CheckpointError for names that are missing or not expected, and for other shapes.

    `left` are names in the checkpoint that the layout does not know. The message uses the names of the layout.
    """
    left = list(left)
    absent = [name for each in expected if each not in found for name in layout.called(each)]
    missing = [name for name in absent if name not in left]
    extra = [name for name in left if name not in absent]
    extra += [name for each in found if each not in expected for name in layout.called(each)]
    misshapen = [
        f"{', '.join(layout.called(name))}: is {shape_of(each)}, expected {shape_of(expected[name])}"
        for name, each in found.items()
        if name in expected and each.shape != expected[name].shape
    ]
    groups = {
        f"missing ({len(missing)})": grouped(missing, among=extra),
        f"not expected ({len(extra)})": grouped(extra, among=missing),
        f"wrong shape ({len(misshapen)})": grouped(misshapen),
    }
    said = ["\n    ".join([f"\n  {title}:", *lines]) for title, lines in groups.items() if lines]
    if said:
        remedy = "\nFetch what is missing; name in drop= what may be left out."
        raise CheckpointError(f"the checkpoint does not fit {what}{looks_like(extra)}:{''.join(said)}{remedy}")


def check_numbers(tensors: Mapping[str, Tensor], dtype: torch.dtype | None, layout: Layout) -> None:
    """Raise CheckpointError for numbers that are not real and finite, or, without a `dtype`, not float32."""
    dtypes = {each.dtype for each in tensors.values()}
    found = ", ".join(sorted(str(each) for each in dtypes))
    if any(each.is_meta for each in tensors.values()):
        raise CheckpointError("the checkpoint is on the meta device, which keeps shapes without numbers")
    if not all(each.is_floating_point for each in dtypes):
        raise CheckpointError(f"the checkpoint holds {found}: expected real numbers; take one that is not quantised")
    if dtype is None and dtypes != {torch.float32}:
        raise CheckpointError(
            f"the checkpoint holds {found}, a model torch.float32: say dtype=torch.float32 to convert"
        )
    if bad := [name for name, each in tensors.items() if not each.isfinite().all()]:
        names = "; ".join(grouped([name for each in bad for name in layout.called(each)]))
        large = f", or too large for {dtype}" if dtype else ""
        raise CheckpointError(
            f"not every number is finite (NaN or infinity{large}) in {names}; take an earlier checkpoint"
        )


def differences(one: Any, other: Any) -> dict[str, tuple[Any, Any]]:
    """Where two configurations differ, with both values: the fields that decide which tensors a model has and what it
    computes with them."""
    here, there = _deciding(one), _deciding(other)
    return {field: (value, there.get(field)) for field, value in here.items() if value != there.get(field)}


def _deciding(config: Any) -> dict[str, Any]:
    kept = {field: value for field, value in asdict(config).items() if field not in FREE}
    if isinstance(config, ViTConfig):
        kept["layer_scale"] = config.layer_scale is not None  # the value is only the initial one
        kept["mlp_ratio"] = int(config.embed_dim * config.mlp_ratio) / config.embed_dim
    return {"kind": type(config).__name__.removesuffix("Config"), **kept}


def sides_of(ours: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    """The shape of a tensor. Errors: CheckpointError if it is missing or has another number of axes."""
    if name not in ours:
        raise CheckpointError(f"the tensor that we call {name} is missing; fetch the whole checkpoint")
    if ours[name].ndim != axes:
        raise CheckpointError(f"the tensor that we call {name} is {shape_of(ours[name])}: expected {axes} axes")
    return tuple(ours[name].shape)


def shape_of(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
