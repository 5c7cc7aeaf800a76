"""The last step of `load`: make the model of a configuration, and load the renamed tensors."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitlib.backbones.presets import MODELS
from vitlib.backbones.stages import StageConfig
from vitlib.backbones.windows import WindowAttention
from vitlib.vit.checks import require_size
from vitlib.weights.check import check_fit, check_numbers
from vitlib.weights.files import State
from vitlib.weights.layouts import Layout
from vitlib.weights.renaming import UNREAD

HEAD = ("head.weight", "head.bias", "head.fc.weight", "head.fc.bias")
FIRST = ("patch_embed.backbone.0.conv.weight", "stem.0.weight", "patch_embed.proj.weight")  # the first layer


def filled(
    config: Any,
    ours: Mapping[str, Tensor],
    layout: Layout,
    left: Iterable[str] = (),
    num_classes: int | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> Any:
    """The model of `config` with these tensors, and with a new head if `num_classes` differs from the configuration's.

    A new head is initialised by `generator`. Without a new head torch's random state stays as it is. `left` are names
    of the checkpoint that its layout does not know.

    Errors: CheckpointError for names and shapes that are not the model's; those of check_numbers.
    """
    new_head = num_classes is not None and num_classes != config.num_classes
    if new_head:
        config = replace(config, num_classes=num_classes, class_names=())
    with torch.random.fork_rng(devices=[], enabled=not new_head or generator is not None):
        model = MODELS[type(config)](config, generator)
    expected = model.state_dict()
    counters = {name: each for name, each in expected.items() if name.endswith("num_batches_tracked")}
    found = whole_tables({name: each for name, each in ours.items() if not name.endswith(UNREAD)}, model)
    if new_head:
        found = {name: each for name, each in found.items() if name not in HEAD} | head_of(model)
    found = counters | found  # old checkpoints lack the counters
    check_fit(found, expected, what(layout, config), layout, left)
    check_numbers({name: each for name, each in found.items() if name not in counters}, dtype, layout)
    model.to(dtype or torch.float32).load_state_dict(found)
    return model


def what(layout: Layout, config: Any = None) -> str:
    """A short description of the model, for messages."""
    if config is None:
        model = f"any {layout.family}"
    elif isinstance(config, StageConfig):
        model = f"a {layout.family} of depths {config.depths}"
    else:
        model = f"a ViT of width {config.embed_dim}, depth {config.depth}, patch {config.patch_size}"
    return f"{model} (it is in {layout.library}'s layout)"


def head_of(model: nn.Module) -> State:
    """The tensors of a model's classifier."""
    return {name: each for name, each in model.state_dict().items() if name in HEAD}


def channels_of(ours: Mapping[str, Tensor]) -> int | None:
    """The number of input channels; None if the first layer is missing or no convolution."""
    first = next((ours[name] for name in FIRST if name in ours), None)
    return first.shape[1] if first is not None and first.ndim == 4 else None


def with_channels(ours: Mapping[str, Tensor], in_chans: int) -> State:
    """The tensors with the first layer adapted to `in_chans` channels, as in timm.

    For 1 channel its weights are summed over the channels. For other numbers they are repeated and scaled, so that
    equal channels give the same result.
    """
    require_size("in_chans", in_chans)
    name, channels = next(name for name in FIRST if name in ours), channels_of(ours)
    if not channels:
        return dict(ours)
    weight = ours[name].float()  # D C h w
    if in_chans == 1:
        first = weight.sum(dim=1, keepdim=True)
    else:
        first = weight.repeat(1, -(-in_chans // channels), 1, 1)[:, :in_chans] * (channels / in_chans)
    return {**ours, name: first.to(ours[name].dtype)}


def whole_tables(ours: Mapping[str, Tensor], model: nn.Module) -> State:
    """The tensors with full-sized tables of a Swin. timm's tables are smaller in stages with a grid below window size.

    The missing rows belong to distances that do not occur there; they become zeros.
    """
    whole = dict(ours)
    for name, attention in model.named_modules():
        key = f"{name}.relative_position_bias_table"
        if isinstance(attention, WindowAttention) and key in ours and ours[key].ndim == 2:
            (high, wide), side, table = attention.windows.sides, 2 * attention.table - 1, ours[key]
            if len(table) == (2 * high - 1) * (2 * wide - 1) != side**2:
                down, right = attention.table - high, attention.table - wide
                table = table.T.unflatten(1, (2 * high - 1, 2 * wide - 1))
                whole[key] = F.pad(table, (right, right, down, down)).flatten(1).T.contiguous()
    return whole
