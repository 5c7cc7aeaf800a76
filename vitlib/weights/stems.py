"""Chapter 8: a hybrid's checkpoint is that of a ViT, and of the stem in front of it.

What the stem leaves of a patch is one place: behind it stands a ViT with patch 1, whose picture has as many channels as
the stem's last convolution. So the stem is taken off, the ViT loaded or saved as any other, and both put together.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from vitlib.backbones.hybrid import Hybrid, HybridConfig
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.misfits import check_fit

STEM = "patch_embed.backbone."  # by timm's names, which are ours
TORCHVISION = (  # a layer is numbered, and what is in it; the embedding has a layer's name
    (r"^conv_proj\.conv_bn_relu_(\d+)\.0\.", rf"{STEM}\1.conv."),
    (r"^conv_proj\.conv_bn_relu_(\d+)\.1\.", rf"{STEM}\1.bn."),
    (r"^conv_proj\.conv_last\.", "conv_proj."),
)
PICTURE = ("patch_size", "in_chans", "mean", "std", "stem")  # fields of which the ViT behind the stem has its own


def apart(state: Mapping[str, Tensor]) -> tuple[State, State]:
    """The ViT's tensors, and the stem's by our names: none for a plain ViT."""
    vit: State = {}
    stem: State = {}
    for name, each in state.items():
        for pattern, instead in TORCHVISION:
            name = re.sub(pattern, instead, name)
        (stem if name.startswith(STEM) else vit)[name] = each
    return vit, stem


def halvings(stem: Mapping[str, Tensor]) -> int:
    """How often the stem halves the picture's sides: once in each layer."""
    return len({name.removeprefix(STEM).split(".")[0] for name in stem})


def behind(told: Mapping[str, Any], halvings: int) -> dict[str, Any]:
    """What is told of a hybrid, as it is for the ViT behind its stem; the same where there is none.

    >>> behind({"image_size": (32, 64), "patch_size": 4, "num_heads": 3}, halvings=2)
    {'image_size': (8, 16), 'num_heads': 3}
    """
    if not halvings:
        return dict(told)
    mine = {field: value for field, value in told.items() if field not in PICTURE}
    if "image_size" in mine:
        mine["image_size"] = tuple(side >> halvings for side in mine["image_size"])
    return mine


def vit_behind(config: ViTConfig) -> ViTConfig:
    """The configuration of the ViT behind a hybrid's stem; that of a plain ViT comes back as it is."""
    if not isinstance(config, HybridConfig):
        return config
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    return ViTConfig(**behind(known, len(config.stem)), patch_size=1, in_chans=config.stem[-1])


def joined(stem: Mapping[str, Tensor], vit: ViT, told: Mapping[str, Any]) -> Hybrid:
    """The hybrid of a stem's tensors and the ViT behind it; `told` may say `mean` and `std` of the pictures.

    Errors: CheckpointError for a stem that lacks a tensor, or has one too many, or one of another shape.
    """
    names = [f"{STEM}{layer}.conv.weight" for layer in range(halvings(stem))]
    if missing := [name for name in names if name not in stem]:
        raise CheckpointError(f"the stem lacks {', '.join(missing)}; fetch the whole checkpoint")
    widths, patch, grid = tuple(len(stem[name]) for name in names), 2 ** len(names), vit.config.grid
    known = {field.name: getattr(vit.config, field.name) for field in fields(vit.config)}
    known |= {field: told[field] for field in ("mean", "std", "class_names") if field in told}
    known |= {"patch_size": patch, "image_size": (grid.rows * patch, grid.columns * patch)}
    known |= {"in_chans": stem[names[0]].shape[1], "stem": widths}
    with torch.random.fork_rng(devices=[]):
        model = Hybrid(HybridConfig(**known))
    mine = {name: each for name, each in model.state_dict().items() if name.startswith(STEM)}
    counters = {name: each for name, each in mine.items() if name.endswith("num_batches_tracked")}
    found = counters | dict(stem)  # older checkpoints did not count
    check_fit(found, mine, f"a stem of {widths}")
    model.load_state_dict(vit.state_dict() | found)
    return model
