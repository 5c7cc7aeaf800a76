"""Chapter 7: a recipe, the hyperparameters of a training run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vitlib.data.pictures import Pictures
from vitlib.device import Amp, check_amp
from vitlib.training.optim import optimizers, schedule
from vitlib.training.randaugment import MOST
from vitlib.vit.checks import require_one_of
from vitlib.vit.config import renamed

Kind = Literal["adamw", "muon"]
MOST_SEED = 2**40  # the seed of each step is computed from it, and has to fit into torch's 64 bits
Range = tuple[type, Callable[[Any], bool], str]  # of a field: its type, whether a value is in range, and that in words
SHARE: Range = (float, lambda value: 0 <= value < 1, "a share from 0 to below 1")
NOT_NEGATIVE: Range = (float, lambda value: 0 <= value < math.inf, "a number, 0 or more")
RANGES: dict[str, Range] = {
    **dict.fromkeys(("epochs", "batch_size"), (int, lambda value: value >= 1, "a whole number, at least 1")),
    **dict.fromkeys(("shift", "erase"), (int, lambda value: value >= 0, "a whole number, at least 0")),
    "randaugment": (int, lambda value: 0 <= value <= MOST, f"a whole number, 0 to {MOST}"),
    "seed": (int, lambda value: 0 <= value <= MOST_SEED, f"a whole number, 0 to {MOST_SEED}"),
    "lr": (float, lambda value: 0 < value < math.inf, "a number above 0"),
    "clip": (float, lambda value: value > 0, "a number above 0"),
    **dict.fromkeys(("warmup", "floor", "label_smoothing", "ema"), SHARE),
    "validation": (float, lambda value: 0 <= value <= 0.5, "a share from 0 to 0.5"),
    "layer_decay": (float, lambda value: 0 <= value <= 1, "a share from 0 to 1 (all layers alike)"),
    **dict.fromkeys(("weight_decay", "mixup", "cutmix"), NOT_NEGATIVE),
    **dict.fromkeys(("flip", "balanced", "checkpointing", "compile"), (bool, lambda value: True, "True or False")),
}


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a training run. The defaults suit a small ViT and a few thousand small pictures.

    >>> Recipe(epochs=5, flip=True).lr
    0.001

    Errors: ValueError for a value of another type or out of its range.
    """

    epochs: int = 30  # passes over the training pictures
    batch_size: int = 64  # pictures in a step
    optimizer: Kind = "adamw"  # "muon" needs fewer steps, each of which takes a little longer
    lr: float = 1e-3  # the head's learning rate after the warm-up, the highest of all
    warmup: float = 0.1  # share of all steps in which the learning rate rises
    floor: float = 0.0  # the learning rate at the end, as a share of `lr`
    weight_decay: float = 0.05  # decoupled, as in AdamW; for matrices only
    layer_decay: float = 1.0  # learning rate of a block divided by that of the block above it
    clip: float = 1.0  # largest norm of the gradient of all parameters; a larger gradient is scaled down
    label_smoothing: float = 0.1  # share of the target that is spread evenly over all classes
    shift: int = 0  # pixels: largest random move of a picture, along each axis
    flip: bool = False  # mirror each picture left to right with probability 1/2
    erase: int = 0  # pixels: side of a grey square in each picture; 0: none
    randaugment: int = 0  # magnitude, up to 10, of two random operations on each picture; 0: none
    mixup: float = 0.0  # α of mixup's Beta distribution; 0: off. With cutmix too, each step takes one of them
    cutmix: float = 0.0  # α of CutMix's; 0: off
    ema: float = 0.0  # decay of the moving average of the weights, which the model gets in the end; 0: no average
    balanced: bool = False  # all classes count equally in the loss and in accuracies, however rare they are
    validation: float = 0.0  # share of the training pictures that is used to choose the best epoch instead; 0: none
    amp: Amp = False  # automatic mixed precision: True, or "bfloat16" or "float16" (then with a scaled loss)
    checkpointing: bool = False  # compute activations twice instead of storing them
    compile: bool = False  # torch.compile: faster on a CUDA device, hardly on a CPU
    seed: int = 0  # of order, augmentation and dropout; not of the model's initial weights

    def __post_init__(self) -> None:
        require_one_of("optimizer", self.optimizer, get_args(Kind))
        check_amp(self.amp)
        for name, (kind, in_range, expected) in RANGES.items():
            value = getattr(self, name)
            fits = isinstance(value, (int, float) if kind is float else kind)
            if not fits or isinstance(value, bool) != (kind is bool) or not in_range(value):
                raise ValueError(f"{name} is {value!r}: expected {expected}")

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> "Recipe":
        """The recipe with these fields, from a file. Old names of fields are accepted.

        >>> Recipe.of({"epochs": 5, "batch": 32}).batch_size
        32

        Errors: ValueError for a field that no recipe has.
        """
        told, names = renamed(known), [field.name for field in fields(cls)]
        if unknown := [name for name in told if name not in names]:
            raise ValueError(f"a recipe has no {unknown[0]!r}; it has {', '.join(names)}")
        return cls(**told)

    def optimizers(self, model: nn.Module) -> list[Optimizer]:
        """The optimizers of all trained parameters. Errors: those of `vitlib.training.optim.optimizers`."""
        return optimizers(model, self.optimizer, self.lr, self.weight_decay, self.layer_decay)

    def schedules(self, optims: Sequence[Optimizer], steps: int, done: int = 0) -> list[LRScheduler]:
        """The learning rate of each optimizer over `steps` steps in all, of which so many are `done`."""
        return [schedule(each, steps, round(self.warmup * steps), self.floor, done) for each in optims]

    def every(self, pictures: Pictures) -> int:
        """n, if one picture in n is used for validation.

        Errors: ValueError if that is less than one picture.
        """
        every = round(1 / self.validation)
        if every > len(pictures):
            raise ValueError(
                f"validation is {self.validation}, less than one of the {len(pictures)} pictures: expected at least "
                f"{1 / len(pictures):.2g}"
            )
        return every

    def check(self, pictures: Pictures) -> None:
        """Raise ValueError if there are no pictures, or if they are too small for the recipe's `erase` or `shift`."""
        if not len(pictures):
            raise ValueError("there are no training pictures: expected at least one")
        side = min(pictures.images.shape[2:])
        for name, most in (("erase", side), ("shift", side - 1)):
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name} is {getattr(self, name)} pixels, and the pictures have {side} along their shorter side: "
                    f"expected at most {most}"
                )
