"""Weights for pictures with another number of channels, adapted as timm does it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vitlib.vit.checks import require_size
from vitlib.weights.files import State

FIRST = ("patch_embed.backbone.0.conv.weight", "stem.0.weight", "patch_embed.proj.weight")


def with_channels(ours: Mapping[str, Tensor], in_chans: int | None) -> tuple[State, dict[str, Any]]:
    """The tensors with a first layer for `in_chans` channels, and what that makes of a configuration.

    For grey pictures the layer's channels are summed up; for more they are repeated, and scaled so that equal
    channels give the same sum. {} where nothing changes.
    """
    if in_chans is not None:
        require_size("in_chans", in_chans)
    name = next((name for name in FIRST if name in ours), "")
    if in_chans is None or not name or ours[name].ndim != 4 or ours[name].shape[1] == in_chans:
        return dict(ours), {}
    weight = ours[name]  # D C h w
    channels = weight.shape[1]
    if in_chans == 1:
        first = weight.float().sum(dim=1, keepdim=True)
    else:
        first = weight.float().repeat(1, -(-in_chans // channels), 1, 1)[:, :in_chans] * (channels / in_chans)
    return {**ours, name: first.to(weight.dtype)}, {"in_chans": in_chans}
