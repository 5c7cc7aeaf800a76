"""Checks of a checkpoint. Messages list all names that do not fit, grouped by block, each with the nearest name."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from vitlib.weights.files import CheckpointError
from vitlib.weights.layouts import Layout

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


def grouped(names: Iterable[str], among: Iterable[str] = (), notes: Mapping[str, str] | None = None) -> list[str]:
    """The names as lines of a message, with notes. Names that differ only in the number of their block share a line,
    and each line also has the nearest name of `among`.

    >>> grouped(["blocks.0.norm1.bais", "blocks.1.norm1.bais", "head.bias"], among=["blocks.0.norm1.bias"])
    ['blocks.#.norm1.bais (# = 0…1): the nearest is blocks.0.norm1.bias', 'head.bias']
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        groups.setdefault((re.sub(r"\d+", "#", name, count=1), (notes or {}).get(name, "")), []).append(name)
    among, lines = list(among), []
    for (pattern, note), members in groups.items():
        numbers = [int(number) for name in members for number in re.findall(r"\d+", name)[:1]]
        line = f"{pattern} (# = {_ranges(numbers)})" if len(members) > 1 else members[0]
        near = difflib.get_close_matches(members[0], among, n=1, cutoff=0.8)
        lines.append(line + (f": {note}" if note else "") + (f": the nearest is {near[0]}" if near else ""))
    return lines


def misfits(missing: list[str], extra: list[str], misshapen: Mapping[str, str]) -> str:
    """Missing, unexpected and misshapen names as indented lines; "" if there are none."""
    groups = {
        "missing": grouped(missing, among=extra),
        "not expected": grouped(extra, among=missing),
        "wrong shape": grouped(misshapen, notes=misshapen),
    }
    return "".join(
        f"\n  {title} ({len(names)}):" + "".join(f"\n    {line}" for line in groups[title])
        for title, names in (("missing", missing), ("not expected", extra), ("wrong shape", misshapen))
        if names
    )


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
    misshapen = {
        ", ".join(layout.called(name)): f"is {shape_of(each)}, expected {shape_of(expected[name])}"
        for name, each in found.items()
        if name in expected and each.shape != expected[name].shape
    }
    if missing or extra or misshapen:
        remedy = "\nFetch what is missing; name in drop= what may be left out."
        raise CheckpointError(
            f"the checkpoint does not fit {what}{looks_like(extra)}:{misfits(missing, extra, misshapen)}{remedy}"
        )


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


def check_given(seen: Mapping[str, Any], given: Mapping[str, Any], kind: type) -> None:
    """Raise CheckpointError for a given field that `kind` does not have, or that contradicts the shapes (`seen`)."""
    name = kind.__name__.removesuffix("Config")
    if unknown := given.keys() - {field.name for field in fields(kind)}:
        fault = f"the tensors are of a {name}, which has no {', '.join(sorted(unknown))}"
        raise CheckpointError(f"{fault}; it has the fields of {kind.__name__}")
    for field, value in seen.items():
        if given.get(field, value) != value:
            raise CheckpointError(
                f"the tensors show {field}={value!r}, and an argument, a note or config.json says {given[field]!r}; is "
                "that about another checkpoint, or is a tensor missing?"
            )


def sides_of(ours: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    """The shape of a tensor. Errors: CheckpointError if it is missing or has another number of axes."""
    if name not in ours:
        raise CheckpointError(f"the tensor that we call {name} is missing; fetch the whole checkpoint")
    if ours[name].ndim != axes:
        raise CheckpointError(f"the tensor that we call {name} is {shape_of(ours[name])}: expected {axes} axes")
    return tuple(ours[name].shape)


def shape_of(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _ranges(numbers: list[int]) -> str:
    """0, 1, 2, 5 as `0…2, 5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}…{run[-1]}" for run in runs)
