"""Chapter 8: ConvNeXt, a convolutional network with the Transformer's habits.

Its block is the ViT's, with attention taken out: a 7 × 7 convolution of each channel by itself lets neighbours talk,
and the same MLP works on each place by itself. Tensors are [B, C, H, W], as convolutions take them, but lie in memory
as [B, H, W, C] (torch.channels_last): what stands at one place lies together, as normalisation and MLP want it.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.backbones.stages import StageConfig, Staged, init_stages, stage_groups
from vitlib.vit.branch import Drop
from vitlib.vit.checks import check_images
from vitlib.vit.encoder import MLP


@dataclass(frozen=True, kw_only=True)
class ConvNeXtConfig(StageConfig):
    """The defaults are ConvNeXt-T for ImageNet (Liu et al., 2022, section 3).

    >>> ConvNeXtConfig().grids
    ((56, 56), (28, 28), (14, 14), (7, 7))

    Errors: those of StageConfig; ValueError for an even kernel.
    """

    depths: tuple[int, ...] = (3, 3, 9, 3)  # blocks in each stage
    dims: tuple[int, ...] = (96, 192, 384, 768)  # channels inside, in each stage
    kernel_size: int = 7  # tokens: the side of what a block's convolution sees
    mlp_ratio: float = 4.0  # hidden width of the MLP over the number of channels
    layer_scale: float = 1e-6  # first value of each branch's scale (Touvron et al., 2021)
    eps: float = 1e-6  # added to the variance in every LayerNorm but the last
    head_eps: float = 1e-6  # and in the last; transformers has 1e-12 there

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.dims) != len(self.depths):
            raise ValueError(f"dims are {self.dims} and depths {self.depths}: expected one number for each stage")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {self.kernel_size}: expected an odd side, with a token in its middle")


def norm2d(norm: nn.Module, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """LayerNorm over the channels of each place; channels last in memory, without a copy where they are so already.

    >>> norm2d(nn.LayerNorm(8), torch.randn(1, 8, 4, 6)).is_contiguous(memory_format=torch.channels_last)
    True
    """
    out: Tensor = norm(x.permute(0, 2, 3, 1))
    return out.permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """x + γ mlp(norm(conv(x))): [B, C, H, W] → [B, C, H, W].

    >>> ConvNeXtBlock(embed_dim=96)(torch.zeros(2, 96, 14, 14)).shape
    torch.Size([2, 96, 14, 14])

    Source: Liu et al., 2022, "A ConvNet for the 2020s", figure 4.
    """

    def __init__(
        self,
        embed_dim: int,
        kernel_size: int = 7,
        mlp_ratio: float = 4.0,
        layer_scale: float = 1e-6,
        eps: float = 1e-6,
        drop_path: float = 0.0,
        gelu: str = "erf",
    ) -> None:
        super().__init__()
        side, padding = kernel_size, kernel_size // 2
        self.conv_dw = nn.Conv2d(embed_dim, embed_dim, side, padding=padding, groups=embed_dim)  # a filter a channel
        self.norm = nn.LayerNorm(embed_dim, eps)
        self.mlp = MLP(embed_dim, int(embed_dim * mlp_ratio), gelu)
        self.gamma = nn.Parameter(layer_scale * torch.ones(embed_dim))
        self.drop = Drop(0.0, drop_path) if drop_path else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        branch = self.gamma * self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1)))  # B H W C
        if self.drop:
            branch = self.drop(branch.flatten(1, 2)).view_as(branch)
        return x + branch.permute(0, 3, 1, 2)


class ConvNeXtStage(nn.Module):
    """Halve the sides (but in the first stage), then the blocks: [B, C, H, W] → [B, C2, H/2, W/2]."""

    def __init__(self, config: ConvNeXtConfig, stage: int) -> None:
        super().__init__()
        c, width = config, config.dims[stage]
        self.downsample: nn.Module = nn.Identity()
        if stage:
            before = c.dims[stage - 1]
            self.downsample = nn.Sequential(nn.LayerNorm(before, c.eps), nn.Conv2d(before, width, 2, stride=2))
        blocks = [
            ConvNeXtBlock(width, c.kernel_size, c.mlp_ratio, c.layer_scale, c.eps, p, c.gelu)
            for p in c.drop_paths[stage]
        ]
        self.blocks = cast(list[ConvNeXtBlock], nn.ModuleList(blocks))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        if isinstance(self.downsample, nn.Sequential):
            norm, conv = self.downsample
            x = conv(norm2d(norm, x))
        for block in self.blocks:
            x = block(x)
        return x


class ConvNeXt(Staged):
    """[B, C, H, W] → [B, K], the logits of K classes. Parameters have timm's names.

    >>> model = ConvNeXt(ConvNeXtConfig(image_size=(32, 32), depths=(1, 1), dims=(16, 32), num_classes=5))
    >>> out = model(torch.zeros(2, 3, 32, 32), return_all=True)
    >>> {name: tuple(each.shape) for name, each in out.items()}
    {'stem': (2, 16, 8, 8), 'stages.0': (2, 16, 8, 8), 'stages.1': (2, 32, 4, 4), 'pooled': (2, 32), 'logits': (2, 5)}

    Errors: ValueError for images of another size, rank, number of channels or dtype.
    Source: Liu et al., 2022, "A ConvNet for the 2020s".
    """

    config: ConvNeXtConfig

    def __init__(self, config: ConvNeXtConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config)
        c = config
        self.stem = nn.Sequential(
            nn.Conv2d(c.in_chans, c.dims[0], c.patch_size, stride=c.patch_size), nn.LayerNorm(c.dims[0], c.eps)
        )
        self.stages = nn.ModuleList([ConvNeXtStage(c, stage) for stage in range(len(c.depths))])
        head = nn.Linear(c.dims[-1], c.num_classes) if c.num_classes else nn.Identity()
        self.head = nn.ModuleDict({"norm": nn.LayerNorm(c.dims[-1], c.head_eps), "fc": head})
        init_stages(self, generator)

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.stem], *stage_groups(self.stages), [self.head]]

    def forward(
        self, images: Float[Tensor, "B C H W"], return_all: bool = False
    ) -> Float[Tensor, "B K"] | dict[str, Tensor]:
        """The logits; with `return_all`, also what each stage gives, by name."""
        out = {"stem": (x := self.embed(images))}  # B C H W
        for i, stage in enumerate(self.stages):
            out[f"stages.{i}"] = x = stage(x)
        out["pooled"] = x = self.head["norm"](x.mean(dim=(2, 3)))  # B C
        out["logits"] = self.head["fc"](x)  # B K
        return out if return_all else out["logits"]

    def embed(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        """The stem: patches, embedded and normalised."""
        conv, norm = cast(nn.Conv2d, self.stem[0]), self.stem[1]
        images = check_images(images, self.config.in_chans, self.config.image_size, conv.weight)
        return norm2d(norm, conv(images))

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        """What the last stage gives, as timm gives it: before the last norm."""
        x = self.embed(images)
        for stage in self.stages:
            x = stage(x)
        return x

    def forward_head(self, features: Float[Tensor, "B D H2 W2"], pre_logits: bool = False) -> Float[Tensor, "B K"]:
        """The logits, from what `forward_features` gave; or the vector that the classifier reads (`pre_logits`)."""
        x = self.head["norm"](features.mean(dim=(2, 3)))
        return x if pre_logits else self.head["fc"](x)
