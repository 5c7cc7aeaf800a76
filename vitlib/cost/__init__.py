"""Chapter 6: what a model costs, in FLOPs and in bytes, from its configuration alone.

patches → tokens → each operation's FLOPs and kept bytes → the peak. A model's forward pass is a list of operations
(vitlib.cost.ops), as long as the model is deep; walking it there and back as the allocator would (vitlib.cost.walk)
gives the peak of each phase. Nothing runs, and nothing is allocated: a few hundred sums of whole numbers.

>>> from vitlib.config import ViTConfig
>>> vit_b16 = ViTConfig(trim=False)  # as published: all tokens go through the last block
>>> flops(vit_b16, Run(training=False))["inference"] / 1e9
35.128...
"""

from vitlib.backbones import Config
from vitlib.config import ViTConfig
from vitlib.cost.ops import Ops, flat
from vitlib.cost.run import Breakdown, Cost, Run
from vitlib.cost.vit import vit

__all__ = ["Breakdown", "Cost", "Run", "cost", "flops", "operations"]


def cost(config: Config, run: Run = Run()) -> Cost:
    """What a step with this model costs, or a forward pass: parameters, FLOPs, and bytes by phase.

    >>> round(cost(ViTConfig()).parameters / 1e6, 1)  # ViT-B/16
    86.6

    Errors: ValueError for choices that do not go together, such as heads that do not share the width.
    """
    ops = operations(config, run)
    parameters = sum(op.weights for op in flat(ops))
    rest = Breakdown(weights=run.numbers[0] * parameters)
    phases = ("forward", "backward", "step") if run.training else ("inference",)
    return Cost(parameters, _flops(ops, run), dict.fromkeys(phases, rest))


def flops(config: Config, run: Run = Run()) -> dict[str, int]:
    """FLOPs by phase: "forward" and "backward" of a training step, or "inference". A multiply-add is 2."""
    return _flops(operations(config, run), run)


def operations(config: Config, run: Run = Run()) -> Ops:
    """The list of operations that is a model's forward pass."""
    return vit(config, run)


def _flops(ops: Ops, run: Run) -> dict[str, int]:
    forward, backward = (sum(getattr(op, each) for op in flat(ops)) for each in ("flops", "back"))
    return {"forward": forward, "backward": backward} if run.training else {"inference": forward}
