"""Chapter 8: a hybrid, the ViT behind a few convolutions.

The ViT's first layer sees each patch once, by itself. Here a stem of 3 × 3 convolutions looks at the picture first,
each halving its sides, until one place is left for each patch; everything behind it is the ViT.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.config import ViTConfig
from vitlib.vit.embed import PatchEmbed
from vitlib.vit.model import ViT


@dataclass(frozen=True)
class HybridConfig(ViTConfig):
    """A ViT's choices, and the stem's.

    >>> HybridConfig(depth=11, stem=(24, 48, 96, 192)).grid.tokens
    196

    Errors: those of ViTConfig; ValueError where the stem does not shrink a patch to one place.
    """

    stem: tuple[int, ...] = (48, 96, 192, 384)  # channels behind each 3 × 3 convolution; each halves the sides

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch_size != 2 ** len(self.stem):
            raise ValueError(
                f"patch_size is {self.patch_size} and the stem has {len(self.stem)} convolutions, each halving the "
                f"sides: choose {2 ** len(self.stem)}, or a stem whose length fits the patch, such as 4 for 16"
            )


class StemLayer(nn.Module):
    """ReLU(norm(conv(x))), half as high and half as wide: [B, C, H, W] → [B, D, ⌈H/2⌉, ⌈W/2⌉].

    The normalisation is over the pictures of a batch (Ioffe & Szegedy, 2015), as in convolutional networks.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel_size=3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        return F.relu(self.bn(self.conv(x)))


class ConvStem(PatchEmbed):
    """Convolve, halve, repeat; what is left is embedded place by place, as patches of one: [B, C, H, W] → [B, N, D].

    >>> stem = ConvStem(in_chans=3, stem=(24, 48, 96, 192), embed_dim=192)
    >>> stem(torch.zeros(2, 3, 64, 96)).shape
    torch.Size([2, 24, 192])

    Source: Xiao et al., 2021, "Early convolutions help transformers see better", section 4.
    """

    def __init__(self, in_chans: int, stem: tuple[int, ...], embed_dim: int) -> None:
        super().__init__(stem[-1], 1, embed_dim)
        before = (in_chans, *stem[:-1])
        self.backbone = nn.Sequential(*(StemLayer(*sizes) for sizes in zip(before, stem, strict=True)))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        return super().forward(self.backbone(images))


class Hybrid(ViT):
    """A ViT with a convolutional stem: [B, C, H, W] → [B, K]. Parameters have timm's names.

    >>> config = HybridConfig((32, 48), 8, embed_dim=64, depth=2, num_heads=4, num_classes=5, stem=(8, 16, 32))
    >>> model = Hybrid(config)
    >>> model(torch.zeros(2, 3, 32, 48)).shape
    torch.Size([2, 5])

    The paper removes one encoder block for the stem, so that the hybrid costs about as much as the ViT.
    Source: Xiao et al., 2021.
    """

    def __init__(self, config: HybridConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config, generator)
        self.patch_embed = ConvStem(config.in_chans, config.stem, config.embed_dim)
        for module in self.patch_embed.modules():
            if isinstance(module, nn.Conv2d):  # each keeps the scale: He et al., 2015
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
        nn.init.zeros_(cast(Tensor, self.patch_embed.proj.bias))
