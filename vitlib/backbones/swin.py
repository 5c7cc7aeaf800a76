"""Chapter 8: Swin, a ViT with windows and stages.

A Swin block is the ViT's block with attention inside windows, every second one with shifted windows. Between stages
four neighbouring tokens become one.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.backbones.stages import StageConfig, Staged, init_stages, stage_groups
from vitlib.backbones.windows import WindowAttention, Windows
from vitlib.vit.attention import check_heads
from vitlib.vit.checks import check_images
from vitlib.vit.embed import PatchEmbed
from vitlib.vit.encoder import Block


@dataclass(frozen=True, kw_only=True)
class SwinConfig(StageConfig):
    """The defaults are Swin-T for ImageNet (Liu et al., 2021, section 3.3).

    >>> config = SwinConfig()
    >>> config.grids, config.dims
    (((56, 56), (28, 28), (14, 14), (7, 7)), (96, 192, 384, 768))

    The sides of a picture may be any multiple of the patch size: where windows or mergings do not divide a grid, it is
    padded with zeros. The libraries pad in different ways (`convention`). They agree where windows divide every grid
    and each side of a grid has at least two windows.

    Errors: those of StageConfig.
    """

    depths: tuple[int, ...] = (2, 2, 6, 2)  # blocks in each stage
    embed_dim: int = 96  # numbers in a token of the first stage; doubled from stage to stage
    num_heads: tuple[int, ...] = (3, 6, 12, 24)  # of attention, in each stage
    window_size: int = 7  # tokens: the side of a window
    mlp_ratio: float = 4.0  # hidden width of the MLP over the width of a token
    eps: float = 1e-5  # added to the variance in every LayerNorm; transformers has 1e-5 between stages, whatever it is
    fused: bool | None = None  # attention by a fused kernel, or as the formula is written; None: the faster one
    convention: Literal["timm", "torchvision", "hf"] = "timm"  # whose way with grids that windows do not divide

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.num_heads) != len(self.depths):
            raise ValueError(
                f"num_heads are {self.num_heads} and depths {self.depths}: expected one number for each stage"
            )
        for width, heads in zip(self.dims, self.num_heads, strict=True):
            check_heads(width, heads)

    @property
    def unit(self) -> int:
        """Pixels: where the sides of a picture are multiples of it, every stage has whole windows."""
        return self.patch_size * 2 ** (len(self.depths) - 1) * self.window_size

    @property
    def step(self) -> int:
        """Pixels: a side of the picture is a multiple of it."""
        return self.patch_size

    @property
    def eps_between(self) -> float:
        """eps of the LayerNorms behind the patch embedding and in the mergings."""
        return 1e-5 if self.convention == "hf" else self.eps

    @property
    def dims(self) -> tuple[int, ...]:
        """Numbers in a token, stage by stage."""
        return tuple(self.embed_dim * 2**stage for stage in range(len(self.depths)))

    def windows(self, stage: int, block: int) -> Windows:
        """Every second block is shifted by half a window; not along an axis that has one window alone.

        In a grid smaller than a window, timm takes a smaller window, the others fill it up. timm fills after the grid
        has rolled, the others before. transformers shifts both axes or none.
        """
        (rows, columns), w = self.grids[stage], self.window_size
        high, wide = (min(rows, w), min(columns, w)) if self.convention == "timm" else (w, w)
        along = (rows > w, columns > w)
        if not block % 2 or (self.convention == "hf" and not all(along)):
            along = (False, False)
        up, left = (w // 2 * each for each in along)
        return Windows(
            rows,
            columns,
            high if high == wide else (high, wide),
            up if up == left else (up, left),
            pad="after" if self.convention == "timm" else "before",
        )

    def _why(self) -> str:
        return f"no multiple of patch_size {self.patch_size}"


class PatchEmbedNorm(PatchEmbed):
    """The ViT's patch embedding, normalised: [B, C, H, W] → [B, N, D]."""

    def __init__(self, in_chans: int, patch_size: int, embed_dim: int, eps: float) -> None:
        super().__init__(in_chans, patch_size, embed_dim)
        self.norm = nn.LayerNorm(embed_dim, eps)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        return self.norm(super().forward(images))


class PatchMerging(nn.Module):
    """Four neighbours, side by side, become one token of twice the width: [B, N, D] → [B, N/4, 2D].

    >>> PatchMerging(grid=(4, 5), width=8)(torch.zeros(2, 20, 8)).shape  # zeros fill an odd side up
    torch.Size([2, 6, 16])

    Source: Liu et al., 2021, section 3.1.
    """

    def __init__(self, grid: tuple[int, int], width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(4 * width, eps)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N2 D2"]:
        rows, columns = self.grid
        if rows % 2 or columns % 2:
            x = F.pad(x.unflatten(1, self.grid), (0, 0, 0, columns % 2, 0, rows % 2))
            rows, columns = rows + rows % 2, columns + columns % 2
        x = x.reshape(x.shape[0], rows // 2, 2, columns // 2, 2, -1).permute(0, 1, 3, 4, 2, 5)  # B R C x y D
        return self.reduction(self.norm(x.flatten(3).flatten(1, 2)))  # B R·C 4D → B N/4 2D


class SwinBlock(Block):
    """The ViT's block, with attention inside windows: [B, N, D] → [B, N, D]."""

    attn: WindowAttention

    def __init__(self, config: SwinConfig, stage: int, block: int) -> None:
        c, embed_dim, num_heads = config, config.dims[stage], config.num_heads[stage]
        super().__init__(embed_dim, num_heads, c.mlp_ratio, c.eps, c.gelu, drop_path=c.drop_paths[stage][block])
        self.attn = WindowAttention(embed_dim, num_heads, c.windows(stage, block), c.fused, c.window_size)


class SwinStage(nn.Module):
    """Merge (but in the first stage), then the blocks."""

    def __init__(self, config: SwinConfig, stage: int) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if stage:
            self.downsample = PatchMerging(config.grids[stage - 1], config.dims[stage - 1], config.eps_between)
        blocks = [SwinBlock(config, stage, block) for block in range(config.depths[stage])]
        self.blocks = cast(list[SwinBlock], nn.ModuleList(blocks))

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N2 D2"]:
        x = self.downsample(x)
        for block in self.blocks:
            x = block(x)
        return x


class Swin(Staged):
    """[B, C, H, W] → [B, K], the logits of K classes. Parameters have timm's names.

    >>> few = SwinConfig(image_size=(32, 32), depths=(2, 2), embed_dim=16, num_heads=(2, 4), window_size=4)
    >>> model = Swin(few)
    >>> out = model(torch.zeros(2, 3, 32, 32), return_all=True)
    >>> {name: tuple(each.shape) for name, each in out.items()}
    {'patch_embed': (2, 64, 16), 'layers.0': (2, 64, 16), 'layers.1': (2, 16, 32), 'norm': (2, 16, 32),
    'pooled': (2, 32), 'logits': (2, 1000)}

    Errors: ValueError for images of another size, rank, number of channels or dtype.
    Source: Liu et al., 2021, "Swin transformer: hierarchical vision transformer using shifted windows".
    """

    config: SwinConfig

    def __init__(self, config: SwinConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config)
        c = config
        self.patch_embed = PatchEmbedNorm(c.in_chans, c.patch_size, c.embed_dim, c.eps_between)
        self.layers = nn.ModuleList([SwinStage(c, stage) for stage in range(len(c.depths))])
        self.norm = nn.LayerNorm(c.dims[-1], c.eps)
        self.head = nn.ModuleDict({"fc": nn.Linear(c.dims[-1], c.num_classes) if c.num_classes else nn.Identity()})
        init_stages(self, generator)

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.patch_embed], *stage_groups(self.layers), [self.norm, self.head]]

    def forward(
        self, images: Float[Tensor, "B C H W"], return_all: bool = False
    ) -> Float[Tensor, "B K"] | dict[str, Tensor]:
        """The logits; with `return_all`, also what each stage gives, by name."""
        out = {"patch_embed": (x := self.embed(images))}  # B N D
        for i, layer in enumerate(self.layers):
            out[f"layers.{i}"] = x = layer(x)
        out["norm"] = x = self.norm(x)
        out["pooled"] = x = x.mean(dim=1)  # B D
        out["logits"] = self.head["fc"](x)  # B K
        return out if return_all else out["logits"]

    def embed(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        """The patches, embedded and normalised."""
        images = check_images(images, self.config.in_chans, self.config.image_size, self.patch_embed.proj.weight)
        return self.patch_embed(images)

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B R C2 D"]:
        """What the last stage gives, as timm gives it: rows and columns of tokens, through the last norm."""
        x = self.embed(images)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).unflatten(1, self.config.grids[-1])

    def forward_head(self, features: Float[Tensor, "B R C2 D"], pre_logits: bool = False) -> Float[Tensor, "B K"]:
        """The logits, from what `forward_features` gave; or the vector that the classifier reads (`pre_logits`)."""
        x = features.mean(dim=(1, 2))
        return x if pre_logits else self.head["fc"](x)

    def set_input_size(self, image_size: int | tuple[int, int]) -> None:
        super().set_input_size(image_size)
        for stage, layer in enumerate(self.layers):
            if isinstance(layer.downsample, PatchMerging):
                layer.downsample.grid = self.config.grids[stage - 1]
            for number, block in enumerate(cast(list[SwinBlock], layer.blocks)):
                block.attn.windows = self.config.windows(stage, number)
                block.attn.keep_tables(block.attn.proj.weight)

    def attention_layers(self) -> list[WindowAttention]:
        """The attention of every block, from input to output."""
        return [block.attn for layer in self.layers for block in cast(list[SwinBlock], layer.blocks)]
