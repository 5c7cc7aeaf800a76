"""The input of an examination: copies of the model, the pictures, and what the caller says about them."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vitlib.backbones.stages import StageConfig
from vitlib.data.pictures import Pictures, normalisation, normalise
from vitlib.vit.config import ViTConfig
from vitlib.vit.patches import PatchGrid
from vitlib.vit.wrappers import in_mode

MOST = 64  # pictures that are used, at most
FEW = 8  # pictures in questions that run the model many times
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True, eq=False)
class Case:
    """One examination. `model` is a copy, in the mode of the caller's model, which is never changed."""

    model: nn.Module
    pictures: Pictures  # at most MOST of them, on the model's device
    prepare: Callable[[UInt8[Tensor, "B C H W"]], Float[Tensor, "B C H W"]] | None  # the caller's, from bytes to pixels
    test: Pictures | None  # pictures that the model will be used for
    criterion: Callable[[Tensor, Tensor], Tensor]  # logits [B, K] and labels [B] → the loss
    pretrained: bool  # whether the weights should be trained ones
    frozen: tuple[str, ...]  # shell patterns of the parameters that should not learn
    lr: float | None  # learning rate at which one batch is to be memorised

    @property
    def config(self) -> ViTConfig | StageConfig | None:
        """The model's configuration; None for a model that is not vitlib's."""
        config = getattr(self.model, "config", None)
        return config if isinstance(config, ViTConfig | StageConfig) else None

    @property
    def grid(self) -> PatchGrid | None:
        """The patch grid; None for a model without one that can be recognised."""
        config = self.config
        if config is not None:
            return PatchGrid(*config.image_size, config.patch_size)
        proj = getattr(getattr(self.model, "patch_embed", None), "proj", None)
        height, width = self.pictures.images.shape[2:]
        if isinstance(proj, nn.Conv2d) and proj.kernel_size == proj.stride:
            return PatchGrid(height, width, (proj.stride[0], proj.stride[1]))
        return None

    @cached_property
    def exact(self) -> nn.Module:
        """A copy in evaluation mode and double precision, so that rounding hides no small effect."""
        return copy.deepcopy(self.model).double().eval()

    @cached_property
    def pixels(self) -> Float[Tensor, "B C H W"]:
        """The pictures, normalised as the model's configuration says, in double precision."""
        return normalise(self.pictures.images, *normalisation(self.model), torch.float64)

    @property
    def few(self) -> Float[Tensor, "B C H W"]:
        """The first FEW of `pixels`."""
        return self.pixels[:FEW]

    @torch.no_grad()
    def ask(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """The logits of the exact copy."""
        answer: Tensor = self.exact(pixels)
        return answer

    @cached_property
    def logits(self) -> Float[Tensor, "B K"]:
        """The logits of the exact copy for all pictures."""
        return self.ask(self.pixels)

    @property
    def ln_k(self) -> float:
        """ln K, the loss of a model that gives every one of K classes the probability 1/K."""
        return math.log(len(self.pictures.classes))

    @cached_property
    def fresh(self) -> list[str]:
        """The names of the normalisation layers with their initial values, scale 1 and shift 0.

        Training changes these values in its first step. Other weights are no such sign, as every library initialises
        them in another way.
        """
        return [name for name, weight, bias in self.norms if bool((weight == 1).all()) and not bool(bias.any())]

    @cached_property
    def norms(self) -> list[tuple[str, Tensor, Tensor]]:
        """Name, scale and shift of every normalisation layer that has both."""
        return [
            (name, module.weight, module.bias)
            for name, module in self.model.named_modules()
            if isinstance(module, NORMS) and module.weight is not None and module.bias is not None
        ]

    @property
    def is_fresh(self) -> bool:
        """Whether all normalisation layers have their initial values."""
        return len(self.fresh) == len(self.norms)


def as_handed_over(case: Case, pixels: Float[Tensor, "B C H W"], training: bool | None = None) -> Tensor:
    """The logits of the copy: in the mode of the caller's model, or in training or evaluation mode."""
    dtype = next((each.dtype for each in case.model.parameters()), torch.float32)
    with torch.no_grad():
        if training is None:
            answer: Tensor = case.model(pixels.to(dtype))
        else:
            with in_mode(case.model, training):
                answer = case.model(pixels.to(dtype))
    return answer


def same(a: Tensor, b: Tensor, tolerance: float = 1e-9) -> bool:
    """Whether two tensors are equal up to `tolerance`, relative to the largest number in either."""
    if a.shape != b.shape:
        return False
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-30)
    return float((a - b).abs().max()) <= tolerance * scale


def shift(new: Tensor, old: Tensor) -> str:
    """The largest change of a logit, in standard deviations of the old logits, as text."""
    spread = float(old.std()) or 1.0
    return f"{float((new - old).abs().max()) / spread:.1e}"
