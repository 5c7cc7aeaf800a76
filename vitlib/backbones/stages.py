"""Chapter 8: what Swin and ConvNeXt share, a picture that gets smaller and deeper from stage to stage.

A ViT keeps one grid from the first block to the last. Swin and ConvNeXt, as convolutional networks before them, work
in stages: between two of them the grid's sides are halved and the numbers in a token doubled.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import nn

from vitlib.vit.config import check_class_names
from vitlib.vit.fields import check_fields, pair_of
from vitlib.vit.head import fresh_classifier


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """The choices that every model with stages has.

    Errors: those of check_fields; ValueError where the picture's sides are not multiples of `step`.
    """

    image_size: tuple[int, int] = (224, 224)  # pixels: height, width
    patch_size: int = 4  # pixels: the side of a square patch, one token of the first stage
    in_chans: int = 3  # of a picture: 3 for RGB, 1 for grey
    num_classes: int = 1000  # logits; 0 leaves the classifier out, and the model returns features
    class_names: tuple[str, ...] = ()  # in the order of the logits; (): not known
    depths: tuple[int, ...]  # blocks in each stage
    gelu: Literal["erf", "tanh"] = "erf"  # the exact GELU, or its tanh approximation
    drop_path_rate: float = 0.0  # probability that the last block skips a branch; grows from 0 with the block's number
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of the pixels (0…1) it was trained on: one for all, or one each
    std: tuple[float, ...] = (0.229, 0.224, 0.225)  # likewise

    def __post_init__(self) -> None:
        check_fields(self)
        check_class_names(self.class_names, self.num_classes)
        for side, size in zip(("high", "wide"), self.image_size, strict=True):
            if size < 1 or size % self.step:
                below, above = size // self.step * self.step, (size // self.step + 1) * self.step
                nearest = f"{below} or {above}" if below > 0 else f"{above}"
                raise ValueError(f"picture is {size} pixels {side}: {self._why()}; choose {nearest}")

    @property
    def unit(self) -> int:
        """Pixels: where the sides of a picture are multiples of it, the last stage has whole tokens."""
        return self.patch_size * 2 ** (len(self.depths) - 1)

    @property
    def step(self) -> int:
        """Pixels: a side of the picture is a multiple of it."""
        return self.unit

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each stage, in tokens."""
        height, width = self.image_size
        sides = [self.patch_size * 2**stage for stage in range(len(self.depths))]  # pixels of a token
        return tuple((-(-height // side), -(-width // side)) for side in sides)

    @property
    def drop_paths(self) -> tuple[tuple[float, ...], ...]:
        """Of each block, stage by stage: from 0 to `drop_path` in equal steps."""
        last = max(sum(self.depths) - 1, 1)
        before = [sum(self.depths[:stage]) for stage in range(len(self.depths))]
        return tuple(
            tuple(self.drop_path_rate * (first + i) / last for i in range(depth))
            for first, depth in zip(before, self.depths, strict=True)
        )

    def _why(self) -> str:
        return f"patch {self.patch_size}, halved {len(self.depths) - 1} times, takes multiples of {self.unit}"


class Staged(nn.Module):
    """A model with a StageConfig. Nothing in its weights depends on the size of the pictures."""

    head: nn.ModuleDict

    def __init__(self, config: StageConfig) -> None:
        super().__init__()
        self.config = config

    def layer_groups(self) -> list[list[nn.Module]]:
        """The parts at each depth, from input to output: the embedding, each block, and what follows the blocks."""
        raise NotImplementedError

    def get_classifier(self) -> nn.Module:
        """The layer whose answers are the logits."""
        return self.get_submodule("head.fc")

    def reset_classifier(self, num_classes: int, generator: torch.Generator | None = None) -> None:
        """A fresh classifier in place of the old; with 0 classes none, and the model answers with features."""
        first = next(self.parameters())
        self.head["fc"] = fresh_classifier(cast(Any, self.config).dims[-1], num_classes, first, generator)
        self.config = replace(self.config, num_classes=num_classes, class_names=())

    def set_input_size(self, image_size: int | tuple[int, int]) -> None:
        """Make the model itself one for pictures of another size: a side, or (height, width), in pixels.

        Errors: those of the configuration, where its stages do not divide the size; the model is then as it was.
        """
        self.config = replace(self.config, image_size=pair_of(image_size))

    def resized(self, image_size: tuple[int, int]) -> "Staged":
        """A copy for pictures of (height, width) pixels, with the same weights.

        Errors: those of the configuration, where its stages do not divide the size.
        """
        other = copy.deepcopy(self)
        other.set_input_size(image_size)
        return other


def stage_groups(stages: Iterable[nn.Module]) -> list[list[nn.Module]]:
    """Each block of the stages by itself; the first of a stage with the halving before it."""
    groups: list[list[nn.Module]] = []
    for stage in stages:
        first, *others = stage.get_submodule("blocks").children()
        groups += [[stage.get_submodule("downsample"), first], *([block] for block in others)]
    return groups


@torch.no_grad()
def init_stages(model: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw the weights of Swin or ConvNeXt: normal with standard deviation 0.02, cut off at ±2; biases 0, scales 1.

    Sources: the papers' code; Liu et al., 2022, appendix A.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for name, parameter in model.named_parameters():
        if name.endswith("relative_position_bias_table"):
            nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
