"""What `cost` takes and returns: how a model is run, and what fills the memory at its peak."""

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin

from vitlib.vit.checks import require_one_of, require_size

Kind = Literal[
    "weights", "gradients", "optimizer", "ema", "inputs", "activations", "scores", "copies", "temporary"
]  # what a byte is for


@dataclass(frozen=True)
class Run:
    """How a model is run. The defaults are a training step with one picture, in full precision.

    >>> Run(batch_size=64, precision="amp").numbers  # bytes of a weight, and of a number in a matrix product
    (4, 2)

    Errors: TypeError or ValueError for a batch that is not a positive whole number, for unknown words, and for two
    drop-ins at once.
    """

    batch_size: int = 1  # pictures in a step
    training: bool = True  # forward, backward and optimizer step; False: inference, without gradients
    precision: Literal["fp32", "amp", "bf16"] = "fp32"  # amp: fp32 weights, products in bfloat16; bf16: everything
    checkpointing: bool = False  # vitlib.training.memory.checkpointed; without effect on inference
    optimizer: Literal["adamw", "adamw-foreach", "sgd"] = "adamw"  # "adamw" is fused, as in vitlib.training.optim
    ema: bool = False  # one more copy of the weights, their moving average
    window: int = 0  # tokens: a side of with_windows' windows; 0: attention to all (ViT only)
    pool_stride: int = 0  # patches: a side of with_pooled_keys' squares; 0: no pooling (ViT only)
    merge: int = 0  # pairs of tokens that MergedViT merges in each block; 0: none (ViT only)

    def __post_init__(self) -> None:
        require_size("batch_size", self.batch_size)
        for field in fields(self):
            value = getattr(self, field.name)
            if get_origin(field.type) is Literal:
                require_one_of(field.name, value, get_args(field.type))
            if field.type is bool and not isinstance(value, bool):
                raise TypeError(f"{field.name} is {value!r}: expected True or False")
        for name in self.dropins:
            require_size(name, getattr(self, name))
        if len(self.dropins) > 1:
            raise ValueError(f"{' and '.join(self.dropins)} are set: a ViT takes one of them at a time")

    @property
    def dropins(self) -> tuple[str, ...]:
        """Which of the fields for a ViT alone are set."""
        return tuple(name for name in ("window", "pool_stride", "merge") if getattr(self, name))

    @property
    def numbers(self) -> tuple[int, int]:
        """Bytes of a number: in weights, sums and LayerNorms, and in matrix products."""
        return {"fp32": (4, 4), "amp": (4, 2), "bf16": (2, 2)}[self.precision]


@dataclass(frozen=True)
class Breakdown:
    """What the memory holds at one moment. Bytes, all of them.

    >>> Breakdown(weights=400, activations=600).total
    1000
    """

    weights: int = 0  # parameters and buffers
    gradients: int = 0  # of the weights
    optimizer: int = 0  # its state between steps: AdamW's two averages
    ema: int = 0  # the weights' moving average
    inputs: int = 0  # the pictures
    activations: int = 0  # kept for the backward pass, but for those named below
    scores: int = 0  # kept attention weights, N × N a head
    copies: int = 0  # bfloat16 copies of weights, and copies that windows make
    temporary: int = 0  # what an operation needs while it runs

    @property
    def total(self) -> int:
        """The sum."""
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Cost:
    """What a model costs: numbers learned, FLOPs, and bytes at the peak of each phase."""

    parameters: int  # numbers that are learned
    flops: dict[str, int]  # by phase: "forward" and "backward", or "inference"; a multiply-add is 2
    phases: dict[str, Breakdown]  # at the peak of "forward", "backward" and "step", or of "inference"

    @property
    def peak_phase(self) -> str:
        """The phase with the highest peak."""
        return max(self.phases, key=lambda phase: self.phases[phase].total)

    @property
    def peak(self) -> int:
        """Bytes that tensors take when they take most: what CUDA calls allocated."""
        return self.phases[self.peak_phase].total
