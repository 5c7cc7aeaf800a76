"""What an examination works on: copies of the model, the pictures as it gets them, and what it is said to be."""

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

MOST = 64  # pictures that are looked at
FEW = 8  # pictures in a question that asks the model many times
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True, eq=False)
class Case:
    """One examination. The model is a copy in the mode in which it came: nothing that is done to it shows outside."""

    model: nn.Module
    pictures: Pictures  # at most MOST of them, on the model's device
    prepare: Callable[[UInt8[Tensor, "B C H W"]], Float[Tensor, "B C H W"]] | None  # the caller's own way to pixels
    test: Pictures | None  # what the model will be asked about
    criterion: Callable[[Tensor, Tensor], Tensor]  # logits [B, K] and labels [B] → the loss
    pretrained: bool  # whether the weights should be trained ones
    frozen: tuple[str, ...]  # shell patterns of the parameters that are meant not to learn
    lr: float | None  # learning rate at which one batch is to be learned by heart

    @property
    def config(self) -> ViTConfig | StageConfig | None:
        """The model's choices, where it is one of vitlib's."""
        config = getattr(self.model, "config", None)
        return config if isinstance(config, ViTConfig | StageConfig) else None

    @property
    def grid(self) -> PatchGrid | None:
        """Where the patches lie, or None where the model does not tell."""
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
        """A copy in evaluation mode and double precision, where rounding cannot hide a small effect."""
        return copy.deepcopy(self.model).double().eval()

    @cached_property
    def pixels(self) -> Float[Tensor, "B C H W"]:
        """The pictures as the model's configuration wants them, in double precision."""
        return normalise(self.pictures.images, *normalisation(self.model), torch.float64)

    @property
    def few(self) -> Float[Tensor, "B C H W"]:
        """The first of them."""
        return self.pixels[:FEW]

    @torch.no_grad()
    def ask(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """What the exact copy answers."""
        answer: Tensor = self.exact(pixels)
        return answer

    @cached_property
    def logits(self) -> Float[Tensor, "B K"]:
        """What it answers for all pictures."""
        return self.ask(self.pixels)

    @property
    def ln_k(self) -> float:
        """The loss of a model that knows nothing: −ln(1/K)."""
        return math.log(len(self.pictures.classes))

    @cached_property
    def fresh(self) -> list[str]:
        """The normalisation layers that still have their first values, scale 1 and shift 0: no training has been here.

        Any training moves them at once; weights alone do not tell, since each library draws them otherwise.
        """
        return [name for name, weight, bias in self.norms if bool((weight == 1).all()) and not bool(bias.any())]

    @cached_property
    def norms(self) -> list[tuple[str, Tensor, Tensor]]:
        """Name, scale and shift of every normalisation layer that can learn."""
        return [
            (name, module.weight, module.bias)
            for name, module in self.model.named_modules()
            if isinstance(module, NORMS) and module.weight is not None and module.bias is not None
        ]

    @property
    def is_fresh(self) -> bool:
        """Whether no normalisation layer has learned anything yet."""
        return len(self.fresh) == len(self.norms)


def as_handed_over(case: Case, pixels: Float[Tensor, "B C H W"], training: bool | None = None) -> Tensor:
    """What the copy answers in the mode in which the model came, or in the one that is asked for."""
    dtype = next((each.dtype for each in case.model.parameters()), torch.float32)
    with torch.no_grad():
        if training is None:
            answer: Tensor = case.model(pixels.to(dtype))
        else:
            with in_mode(case.model, training):
                answer = case.model(pixels.to(dtype))
    return answer


def same(a: Tensor, b: Tensor, tolerance: float = 1e-9) -> bool:
    """Equal but for rounding, measured by the largest number in either."""
    if a.shape != b.shape:
        return False
    scale = max(float(a.abs().max()), float(b.abs().max()), 1e-30)
    return float((a - b).abs().max()) <= tolerance * scale


def shift(new: Tensor, old: Tensor) -> str:
    """How far logits have moved, beside how far they lie apart: for a sentence."""
    spread = float(old.std()) or 1.0
    return f"{float((new - old).abs().max()) / spread:.1e}"
