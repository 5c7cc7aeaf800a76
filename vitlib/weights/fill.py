"""The last step of `load`: make the model of a configuration, and load the renamed tensors."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitlib.backbones.presets import MODELS
from vitlib.backbones.windows import WindowAttention
from vitlib.vit.checks import require_size
from vitlib.weights.check import check_fit, check_numbers
from vitlib.weights.files import State
from vitlib.weights.layouts import Layout
from vitlib.weights.renaming import UNREAD

HEAD = ("head.weight", "head.bias", "head.fc.weight", "head.fc.bias")


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
    found = _whole_tables({name: each for name, each in ours.items() if not name.endswith(UNREAD)}, model)
    if new_head:
        found = {name: each for name, each in found.items() if name not in HEAD} | head_of(model)
    found = counters | found  # old checkpoints lack the counters
    check_fit(found, expected, _what(config, layout), layout, left)
    check_numbers({name: each for name, each in found.items() if name not in counters}, dtype, layout)
    model.to(dtype or torch.float32).load_state_dict(found)
    return model


def _what(config: Any, layout: Layout) -> str:
    """A short description of the model, for messages."""
    told = [f"{f} {getattr(config, f)}" for f in ("depths", "embed_dim", "depth", "patch_size") if hasattr(config, f)]
    return f"a {layout.family} of {', '.join(told)} (it is in {layout.library}'s layout)"


def head_of(model: nn.Module) -> State:
    """The tensors of a model's classifier."""
    return {name: each for name, each in model.state_dict().items() if name in HEAD}


def with_channels(weight: Tensor, in_chans: int) -> Tensor:
    """The weight of a first layer, [D, C, h, w], for another number of channels, as in timm.

    For 1 channel it is summed over the channels. For other numbers it is repeated and scaled, so that equal channels
    give the same result.
    """
    require_size("in_chans", in_chans)
    channels, whole = weight.shape[1], weight.float()
    if in_chans == 1:
        first = whole.sum(dim=1, keepdim=True)
    else:
        first = whole.repeat(1, -(-in_chans // channels), 1, 1)[:, :in_chans] * (channels / in_chans)
    return first.to(weight.dtype)


def _whole_tables(ours: Mapping[str, Tensor], model: nn.Module) -> State:
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
