"""What a Vision Transformer is made of, in numbers: the one object that every other module reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vitlib.vit.attention import check_heads
from vitlib.vit.fields import check_fields, side_of
from vitlib.vit.patches import PatchGrid

# what fields and values were called before they took timm's words; saved models, snapshots and recipes still say it
RENAMED = {
    "patch": "patch_size",
    "channels": "in_chans",
    "width": "embed_dim",
    "widths": "dims",
    "heads": "num_heads",
    "registers": "reg_tokens",
    "pooling": "global_pool",
    "drop_path": "drop_path_rate",
    "window": "window_size",
    "kernel": "kernel_size",
    "batch": "batch_size",
    "smoothing": "label_smoothing",
}
RENAMED_POOLING = {"cls": "token", "mean": "avg", "attention": "map"}


def renamed(known: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a configuration or a recipe, with the names of today.

    >>> renamed({"width": 64, "pooling": "cls", "depth": 2})
    {'embed_dim': 64, 'global_pool': 'token', 'depth': 2}
    """
    now = {RENAMED.get(name, name): value for name, value in known.items()}
    if "pooling" in known:
        now["global_pool"] = RENAMED_POOLING.get(known["pooling"], known["pooling"])
    return now


def check_class_names(names: tuple[str, ...], classes: int) -> None:
    """ValueError where a model's classes have names, but not one each, or two the same."""
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"class_names has {twice[0]!r} twice: expected a name of its own for each class")
    if names and len(names) != classes:
        raise ValueError(f"class_names has {len(names)} names: expected {classes}, one a class, or none: ()")


@dataclass(frozen=True)
class ViTConfig:
    """Every choice that decides a model's shape and its numbers. The defaults are ViT-B/16 for ImageNet.

    >>> config = ViTConfig(image_size=(224, 160), reg_tokens=4)
    >>> config.grid.rows, config.grid.columns, config.prefix, config.tokens
    (14, 10, 5, 145)

    Errors: those of check_fields; ValueError where two choices cannot go together, such as a patch that does not divide
    the picture.
    """

    image_size: tuple[int, int] = (224, 224)  # pixels: height, width
    patch_size: int | tuple[int, int] = 16  # pixels: the side of a square patch, or (height, width)
    in_chans: int = 3  # of a picture: 3 for RGB, 1 for grey
    num_classes: int = 1000  # logits; 0 leaves the classifier out, and the model returns features
    class_names: tuple[str, ...] = field(default=(), kw_only=True)  # in the order of the logits; (): not known
    embed_dim: int = 768  # d, the numbers in a token
    depth: int = 12  # encoder blocks
    num_heads: int = 12  # of attention; they share the width
    mlp_ratio: float = 4.0  # hidden width of the MLP over the width of a token
    class_token: bool = True  # whether a CLS token leads the row
    reg_tokens: int = 0  # spare tokens behind CLS (Darcet et al., 2024)
    positions: Literal["learned", "sincos1d", "sincos2d", "none"] = "learned"
    prefix_positions: Literal["all", "cls", "none"] = "all"  # which tokens before the patches have a learned row
    global_pool: Literal["token", "avg", "map"] = "token"  # what the classifier reads
    norm_before_pool: bool = False  # "avg" only: normalise every token, then average, as big_vision does
    layer_scale: float | None = None  # first value of each branch's scale (Touvron et al., 2021); None: no scale
    eps: float = 1e-6  # added to the variance in every LayerNorm; Hugging Face's ViT has 1e-12
    gelu: Literal["erf", "tanh"] = "erf"  # the exact GELU, or its tanh approximation
    fused: bool | None = None  # attention by a fused kernel, or as the formula is written; None: the faster one
    trim: bool = True  # the last block answers only for the tokens that the classifier reads; the logits are the same
    dropout: float = 0.0  # probability, after the positions and after each branch; in training only
    drop_path_rate: float = 0.0  # probability that the last block skips a branch; grows from 0 with the block's number
    mean: tuple[float, ...] = (0.5,)  # of the pixels (0…1) it was trained on: one for all channels, or one each
    std: tuple[float, ...] = (0.5,)  # likewise
    resize: Literal["timm", "hf", "torchvision", "dinov2", "google"] = "timm"  # see resize.py

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "patch_size", side_of(self.patch_size))
        check_heads(self.embed_dim, self.num_heads)
        grid = self.grid
        if not grid.divides:
            raise ValueError(
                f"picture is {grid.height}×{grid.width} pixels: not a multiple of patch {self.patch_size}; choose "
                f"{grid.height - grid.leftover_rows}×{grid.width - grid.leftover_columns} or another patch"
            )
        if self.global_pool == "token" and not self.class_token:
            raise ValueError(
                'global_pool "token" reads the CLS token, and class_token is False; set it, or take global_pool "avg"'
            )
        check_class_names(self.class_names, self.num_classes)

    @property
    def grid(self) -> PatchGrid:
        """Where the patches lie."""
        return PatchGrid(*self.image_size, self.patch_size)

    @property
    def prefix(self) -> int:
        """Tokens before the patches: CLS and the registers."""
        return int(self.class_token) + self.reg_tokens

    @property
    def tokens(self) -> int:
        """N + 1 in the papers: the length of the row that the encoder reads."""
        return self.prefix + self.grid.tokens

    @property
    def prefix_rows(self) -> int:
        """How many of the prefix tokens have a position row; sin-cos positions are for patches alone."""
        if self.positions != "learned":
            return 0
        return {"all": self.prefix, "cls": int(self.class_token), "none": 0}[self.prefix_positions]
