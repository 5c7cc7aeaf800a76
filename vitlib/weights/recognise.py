"""Recognise the layout of a state dict: the one that knows most of its names."""

import re
from collections.abc import Mapping

from torch import Tensor

from vitlib.weights import vit_names
from vitlib.weights.check import looks_like
from vitlib.weights.files import CheckpointError, State
from vitlib.weights.layouts import Layout
from vitlib.weights.stage_names import STAGED

LAYOUTS = {each.library: each for each in vit_names.LAYOUTS}  # of a ViT
BLOCK = re.compile(r"(blocks|layers|stages)\.")  # our names of a block's tensors begin so


def layout_named(library: str, family: str = "ViT") -> Layout:
    """The layout of a library for a family of models. Errors: CheckpointError if it cannot be written."""
    if library not in LAYOUTS:
        raise CheckpointError(f"there is no layout {library!r}: expected one of {', '.join(LAYOUTS)}")
    if family != "ViT" and library != "timm":
        raise CheckpointError(f"a {family} is saved by timm's names alone, not by {library}'s")
    return next((each for each in STAGED if (each.library, each.family) == (library, family)), LAYOUTS[library])


def layout_by(library: str, state: Mapping[str, Tensor]) -> Layout:
    """A library's layout for a ViT, Swin or ConvNeXt: the one that knows most of the names; the ViT's of equal ones."""
    layouts = [each for each in (*LAYOUTS.values(), *STAGED) if each.library == library] or [layout_named(library)]
    return max(layouts, key=lambda layout: sum(bool(layout.ours(name)) for name in spelled(state, layout)))


def recognise(state: Mapping[str, Tensor]) -> Layout:
    """The layout that knows most of the names; the first of equal ones, so timm before DINOv2.

    Errors: CheckpointError if no layout knows the name of a block.
    """
    if not state:
        raise CheckpointError("the checkpoint holds no tensors; fetch it again")
    most: list[str] = []
    for layout in (*LAYOUTS.values(), *STAGED):
        known = [ours for ours in map(layout.ours, spelled(state, layout)) if ours]
        if len(known) > len(most) and any(re.search(layout.sign, _bare(name)) for name in state):
            most, best = known, layout
    if not any(map(BLOCK.match, most)):
        raise CheckpointError(
            f"{len(state)} tensors, beginning with {', '.join(list(state)[:4])}: no layout of a ViT, Swin or ConvNeXt "
            f"knows a block among them{looks_like(state)}; expected one of {', '.join(LAYOUTS)}"
        )
    return best


def detect(state: Mapping[str, Tensor]) -> str:
    """The name of a state dict's layout.

    >>> import torch
    >>> detect({"conv_proj.bias": torch.zeros(8), "encoder.layers.encoder_layer_0.ln_1.bias": torch.zeros(8)})
    'torchvision'

    Errors: those of recognise.
    """
    return recognise(state).library


def spelled(state: Mapping[str, Tensor], layout: Layout) -> State:
    """The tensors with normalised names: without wrappers' prefixes, other spellings replaced, stacked blocks split."""
    result: State = {}
    for name, tensor in state.items():
        now = _bare(name)
        for pattern, instead in layout.also:
            now = re.sub(pattern, instead, now)
        stacked = re.fullmatch(r"(Transformer/encoderblock)(/.+)", now)  # big_vision: [depth, …], scanned over
        parts = {f"{stacked[1]}_{i}{stacked[2]}": each for i, each in enumerate(tensor)} if stacked else {now: tensor}
        if twice := result.keys() & parts.keys():
            raise CheckpointError(f"{name} comes twice, once under another spelling of {min(twice)}; keep one")
        result |= parts
    return result


def _bare(name: str) -> str:
    """A name without the prefixes of DataParallel, torch.compile and Lightning."""
    return re.sub(r"^((module|_orig_mod|model)\.)+", "", name)
