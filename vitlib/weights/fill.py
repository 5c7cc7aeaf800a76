"""The last step of `load`: a model of a configuration, filled with tensors that have our names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from vitlib.backbones.convnext import ConvNeXt, ConvNeXtConfig
from vitlib.backbones.hybrid import Hybrid, HybridConfig
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights.backbones import whole_tables
from vitlib.weights.files import State
from vitlib.weights.misfits import check_fit, check_numbers

MODELS: dict[type, Any] = {ViTConfig: ViT, HybridConfig: Hybrid, SwinConfig: Swin, ConvNeXtConfig: ConvNeXt}
HEAD = ("head.weight", "head.bias", "head.fc.weight", "head.fc.bias")


def filled(
    config: Any,
    ours: Mapping[str, Tensor],
    what: str,
    *,
    num_classes: int | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
    called: Callable[[Iterable[str]], Mapping[str, tuple[str, ...]]] | None = None,
    left: Iterable[str] = (),
) -> Any:
    """The model of `config` with these tensors; for other `num_classes` than its own, with a new head.

    A new head is drawn with `generator`; without one nothing is, and torch's random state stays as it is. `called`
    translates our names into the checkpoint's, `left` are its names that nobody could read.

    Errors: CheckpointError for names and shapes that are not the model's, and those of check_numbers.
    """
    new_head = num_classes is not None and num_classes != config.num_classes
    if new_head:
        config = replace(config, num_classes=num_classes, class_names=())
    with torch.random.fork_rng(devices=[], enabled=not new_head or generator is not None):
        model = MODELS[type(config)](config, generator)
    if new_head:
        ours = {name: each for name, each in ours.items() if name not in HEAD} | head_of(model)
    if isinstance(model, Swin):
        ours = whole_tables(ours, model)
    expected = model.state_dict()
    theirs = called([*expected, *ours]) if called else {}
    check_fit(ours, expected, what, theirs, left)
    check_numbers(ours, dtype, theirs)
    model.load_state_dict(ours)
    return model


def head_of(model: nn.Module) -> State:
    """The tensors of a model's classifier."""
    return {name: each for name, each in model.state_dict().items() if name in HEAD}
