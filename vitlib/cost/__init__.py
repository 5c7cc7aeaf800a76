"""Chapter 6: what a model costs, in FLOPs and in bytes, from its configuration alone.

patches → tokens → each operation's FLOPs and kept bytes → the peak. A model's forward pass is a list of operations
(vitlib.cost.ops), as long as the model is deep; walking it there and back as the allocator would (vitlib.cost.walk)
gives the peak of each phase. Nothing runs, and nothing is allocated: a few hundred sums of whole numbers.

>>> from vitlib.vit.config import ViTConfig
>>> vit_b16 = ViTConfig(trim=False)  # as published: all tokens go through the last block
>>> flops(vit_b16, Run(training=False))
{'inference': 35127656448}
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vitlib.backbones.convnext import ConvNeXtConfig
from vitlib.backbones.hybrid import HybridConfig
from vitlib.backbones.presets import Config
from vitlib.backbones.swin import SwinConfig
from vitlib.cost.convnext import convnext
from vitlib.cost.hybrid import hybrid
from vitlib.cost.ops import Ops, again, blocks, cross_entropy, flat
from vitlib.cost.run import Breakdown, Cost, Run
from vitlib.cost.swin import swin
from vitlib.cost.vit import vit
from vitlib.cost.walk import peaks
from vitlib.vit.config import ViTConfig

MODELS: dict[type[Config], Callable[[Any, Run], Ops]] = {
    ViTConfig: vit,
    HybridConfig: hybrid,
    SwinConfig: swin,
    ConvNeXtConfig: convnext,
}
__all__ = ["Breakdown", "Cost", "Run", "cost", "flops", "operations"]


def cost(config: Config, run: Run = Run()) -> Cost:  # noqa: B008, a Run is frozen
    """What a step with this model costs, or a forward pass: parameters, FLOPs, and bytes by phase.

    >>> round(cost(ViTConfig()).parameters / 1e6, 1)  # ViT-B/16
    86.6

    Errors: ValueError for choices that do not go together, such as heads that do not share the width.
    """
    ops, number = operations(config, run), run.numbers[0]
    every = flat(ops)
    parameters, buffers = sum(op.weights for op in every), sum(op.buffers for op in every)
    weights, channels, (height, width) = number * parameters + buffers, config.in_chans, config.image_size
    pictures = run.batch_size * (number * channels * height * width)
    states = {"sgd": 1}.get(run.optimizer, 2)  # SGD's momentum; AdamW's two averages, of the gradient and its square
    lasting = Breakdown(weights=weights, inputs=pictures)
    if run.training:
        lasting = replace(
            lasting,
            optimizer=states * number * parameters,
            ema=weights if run.ema else 0,
            inputs=pictures + 8 * run.batch_size,  # the labels
        )
        ops = (*ops, cross_entropy(every[-1].out // run.numbers[1 if config.num_classes else 0]))
    return Cost(parameters, _flops(ops, run), peaks(ops, run, lasting))


def flops(config: Config, run: Run = Run()) -> dict[str, int]:  # noqa: B008, a Run is frozen
    """FLOPs by phase: "forward" and "backward" of a training step, or "inference". A multiply-add is 2.

    >>> flops(ViTConfig(), Run(batch_size=2, training=False))["inference"] == 2 * flops(ViTConfig())["forward"]
    True

    Errors: those of `cost`.
    """
    return _flops(operations(config, run), run)


def operations(config: Config, run: Run = Run()) -> Ops:  # noqa: B008, a Run is frozen
    """The list of operations that is a model's forward pass.

    >>> [op.name for op in flat(operations(ViTConfig(depth=1)))]
    ['patch_embed', 'tokens', 'positions', 'norm1', 'qkv', 'attend', 'proj', 'add', 'norm2', 'fc1', 'gelu', 'fc2',
    'add', 'norm', 'head']
    """
    if type(config) not in MODELS:
        known = ", ".join(kind.__name__ for kind in MODELS)
        raise TypeError(f"config is {config!r}: expected a {known}")
    if run.dropins and not isinstance(config, ViTConfig):
        name = type(config).__name__.removesuffix("Config")
        raise ValueError(f"{run.dropins[0]} is set, which a ViT alone has: leave it 0 for a {name}")
    return MODELS[type(config)](config, run)


def _flops(ops: Ops, run: Run) -> dict[str, int]:
    every = flat(ops)
    forward, backward = sum(op.flops for op in every), sum(op.back for op in every)
    if not run.training:
        return {"inference": forward}
    if run.checkpointing:
        backward += sum(op.flops for block in blocks(ops) for op in again(block))
    return {"forward": forward, "backward": backward}
