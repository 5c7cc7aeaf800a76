"""Chapter 7: how to train, in numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from vitlib.data.pictures import Pictures
from vitlib.device import Amp, check_amp
from vitlib.vit.config import renamed

Kind = Literal["adamw", "muon"]
WHOLE = {"epochs": 1, "batch_size": 1, "shift": 0, "erase": 0, "seed": 0}  # whole numbers, and the least of each
MOST_SEED = 2**40  # each step has a seed of its own, and torch's have 64 bits
POSITIVE = ("lr", "clip")
SHARES = ("warmup", "floor", "label_smoothing", "ema", "validation")  # from 0 to below 1
SWITCHES = ("flip", "balanced", "checkpointing", "compile")
NOT_NEGATIVE = ("weight_decay", "mixup", "cutmix")


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults suit a small ViT on a few thousand small pictures.

    >>> Recipe(epochs=5, flip=True).lr
    0.001

    Errors: ValueError for a number that makes no sense.
    """

    epochs: int = 30  # passes over the training pictures
    batch_size: int = 64  # pictures in a step
    optimizer: Kind = "adamw"  # Muon needs fewer steps, each of which costs a little more
    lr: float = 1e-3  # the highest learning rate, which the head reaches after the warm-up
    warmup: float = 0.1  # share of all steps in which the learning rate climbs
    floor: float = 0.0  # share of `lr` that is left at the end
    weight_decay: float = 0.05  # share of a matrix that goes in a step, per unit of learning rate
    layer_decay: float = 1.0  # learning rate of a block over that of the block above it
    clip: float = 1.0  # longest gradient, of all parameters together; a longer one is shortened
    label_smoothing: float = 0.1  # share of the target that all classes get alike
    shift: int = 0  # pixels: the furthest that a picture moves, along either axis
    flip: bool = False  # whether every second picture is mirrored, left to right
    erase: int = 0  # pixels: side of a grey square in each picture; 0: none
    mixup: float = 0.0  # α of mixup's Beta distribution; 0: off. With cutmix too, each step takes one of them
    cutmix: float = 0.0  # α of CutMix's; 0: off
    ema: float = 0.0  # decay, a step, of the weights' moving average, which is what remains; 0: no average
    balanced: bool = False  # every class counts alike, however few pictures it has: in the loss, and in accuracies
    validation: float = 0.0  # share of the training pictures that is kept back to choose the best epoch by; 0: none
    amp: Amp = False  # automatic mixed precision: True, or "bfloat16" or "float16" (then with a scaled loss)
    checkpointing: bool = False  # compute activations twice rather than keep them
    compile: bool = False  # torch.compile: pays on a CUDA device, hardly on a CPU
    seed: int = 0  # of order, changes and dropout; the model's own weights come with the model

    def __post_init__(self) -> None:
        if self.optimizer not in get_args(Kind):
            raise ValueError(f"optimizer is {self.optimizer!r}: expected 'adamw' or 'muon'")
        check_amp(self.amp)
        for name in SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected True or False")
        for name, least in WHOLE.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} is {value!r}: expected a whole number, at least {least}")
        if self.seed > MOST_SEED:
            raise ValueError(f"seed is {self.seed}: expected 0 to {MOST_SEED}")
        for name in (*POSITIVE, *SHARES, *NOT_NEGATIVE, "layer_decay"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
                raise ValueError(f"{name} is {value!r}: expected a number")
        for name in POSITIVE:
            if not getattr(self, name) > 0 or (name == "lr" and math.isinf(self.lr)):
                raise ValueError(f"{name} is {getattr(self, name)}: expected more than 0")
        for name in SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a share from 0 to below 1")
        if self.validation > 0.5:
            raise ValueError(f"validation is {self.validation}: expected a share from 0 to 0.5")
        for name in NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: expected 0 or more")
        if not 0 <= self.layer_decay <= 1:
            raise ValueError(f"layer_decay is {self.layer_decay}: expected a share from 0 to 1 (all layers alike)")

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> "Recipe":
        """The recipe with these fields, as a file holds them. Older names of fields, before timm's, are accepted.

        >>> Recipe.of({"epochs": 5, "batch": 32}).batch_size
        32

        Errors: ValueError for a field that no recipe has.
        """
        told, names = renamed(known), [field.name for field in fields(cls)]
        if unknown := [name for name in told if name not in names]:
            raise ValueError(f"a recipe has no {unknown[0]!r}; it has {', '.join(names)}")
        return cls(**told)

    def every(self, pictures: Pictures) -> int:
        """n, where one picture in n is kept back for validation.

        Errors: ValueError where that is less than one picture.
        """
        every = round(1 / self.validation)
        if every > len(pictures):
            raise ValueError(
                f"validation is {self.validation}, less than one of the {len(pictures)} pictures: expected at least "
                f"{1 / len(pictures):.2g}"
            )
        return every

    def check(self, pictures: Pictures) -> None:
        """ValueError for pictures that cannot be changed as the recipe says: smaller than a square, or than a move."""
        if not len(pictures):
            raise ValueError("there are no training pictures: expected at least one")
        side = min(pictures.images.shape[2:])
        for name, most in (("erase", side), ("shift", side - 1)):
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name} is {getattr(self, name)} pixels, and the pictures have {side} along their shorter side: "
                    f"expected at most {most}"
                )
