"""The Vision Transformer: chapters 1 to 5 in a row, picture → patches → tokens → blocks → classes."""

import copy
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.branch import Drop
from vitlib.vit.checks import check_images
from vitlib.vit.config import ViTConfig
from vitlib.vit.embed import PatchEmbed
from vitlib.vit.encoder import Block
from vitlib.vit.fields import pair_of
from vitlib.vit.head import AttentionPool, fresh_classifier, read_cls, read_mean
from vitlib.vit.init import init_weights
from vitlib.vit.positions import token_row
from vitlib.vit.resize import resize_positions
from vitlib.vit.sincos import fixed_positions
from vitlib.vit.tables import WithTables


class ViT(WithTables):
    """[B, C, H, W] → [B, K], the logits of K classes. Parameters have timm's names.

    >>> model = ViT(ViTConfig(image_size=(32, 48), patch_size=8, num_classes=10, embed_dim=64, depth=2, num_heads=4))
    >>> images = torch.zeros(2, 3, 32, 48)
    >>> model(images).shape
    torch.Size([2, 10])
    >>> list(model(images, return_all=True))[:5]
    ['patch_embed', 'tokens', 'blocks.0.norm1', 'blocks.0.attn', 'blocks.0.+attn']

    Errors: ValueError for images of another size, rank, number of channels or dtype.
    Source: Dosovitskiy et al., 2021, "An image is worth 16×16 words".
    """

    def __init__(self, config: ViTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = c = config
        self.patch_embed = PatchEmbed(c.in_chans, c.patch_size, c.embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, c.embed_dim)) if c.class_token else None
        self.reg_token = nn.Parameter(torch.zeros(1, c.reg_tokens, c.embed_dim)) if c.reg_tokens else None
        self.pos_embed: Tensor | None
        if c.positions == "learned":
            self.pos_embed = nn.Parameter(torch.zeros(1, c.prefix_rows + c.grid.tokens, c.embed_dim))
        else:
            self.keep_tables()
        self.drop = Drop(c.dropout, path=0.0) if c.dropout else nn.Identity()
        paths = [c.drop_path_rate * i / max(c.depth - 1, 1) for i in range(c.depth)]
        blocks = [
            Block(c.embed_dim, c.num_heads, c.mlp_ratio, c.eps, c.gelu, c.layer_scale, c.fused, c.dropout, path)
            for path in paths
        ]
        self.blocks = cast(list[Block], nn.ModuleList(blocks))
        pool_first = c.global_pool == "avg" and not c.norm_before_pool
        self.norm = nn.Identity() if pool_first else nn.LayerNorm(c.embed_dim, c.eps)
        self.attn_pool: AttentionPool | None = None
        if c.global_pool == "map":
            self.attn_pool = AttentionPool(c.embed_dim, c.num_heads, c.mlp_ratio, c.eps, c.gelu)
        self.fc_norm = nn.LayerNorm(c.embed_dim, c.eps) if pool_first else nn.Identity()
        self.head: nn.Module = nn.Linear(c.embed_dim, c.num_classes) if c.num_classes else nn.Identity()
        # the rows that the classifier reads
        self.reads = slice(0, 1) if c.global_pool == "token" else slice(c.prefix, None)
        init_weights(self, c.embed_dim, generator)

    def tables(self) -> dict[str, Tensor | None]:
        """Positions that are computed, not learned: no checkpoint stores them."""
        return {} if self.config.positions == "learned" else {"pos_embed": fixed_positions(self.config)}

    def forward(
        self, images: Float[Tensor, "B C H W"], return_all: bool = False
    ) -> Float[Tensor, "B K"] | dict[str, Tensor]:
        """The logits; with `return_all`, every named intermediate, and the same logits, bit for bit."""
        images = self.checked(images)
        if return_all:
            return self.steps(images)
        x = self.tokens(self.patch_embed(images))  # B T D
        *body, _ = self.blocks
        for block in body:
            x = block(x)
        return self.head(self.pool(self.last(x)))  # B T D → B R D → B D → B K

    def steps(self, images: Float[Tensor, "B C H W"]) -> dict[str, Tensor]:
        """`forward`, spelled out: every tensor on the way from the picture to the logits, by name."""
        out = {"patch_embed": self.patch_embed(images)}  # B N D
        out["tokens"] = x = self.tokens(out["patch_embed"])  # B T D
        for i, block in enumerate(self.blocks):
            steps, before = block.steps(x), x
            out |= {f"blocks.{i}.{name}": value for name, value in steps.items()}
            x = steps["+mlp"]
        out["norm"] = self.norm(x)
        out["pooled"] = self.pool(self.last(before))  # B D
        out["logits"] = self.head(out["pooled"])  # B K
        return out

    def tokens(self, patches: Float[Tensor, "B N D"]) -> Float[Tensor, "B T D"]:
        """The row that the encoder reads: CLS, registers and patches, each with its position."""
        rows = self.constant("pos_embed", patches) if self.table_names else self.pos_embed
        return self.drop(token_row(patches, rows, self.cls_token, self.reg_token))

    def last(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B R D"]:
        """What the last block gives, in the rows that the classifier reads."""
        block = self.blocks[-1]
        return block(x, self.reads) if self.config.trim else block(x)[:, self.reads]

    def pool(self, x: Float[Tensor, "B R D"]) -> Float[Tensor, "B D"]:
        """One normalised vector for each picture, from the rows `[:, model.reads]` of a block's output."""
        return self.read(self.norm(x))

    def read(self, x: Float[Tensor, "B R D"]) -> Float[Tensor, "B D"]:
        """`pool`, of rows that are normalised already."""
        read = self.attn_pool or {"token": read_cls, "avg": read_mean}[self.config.global_pool]
        return self.fc_norm(read(x))

    def forward_features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T D"]:
        """The tokens behind the last block, as timm gives them: CLS, registers, patches, through the last norm."""
        x = self.tokens(self.patch_embed(self.checked(images)))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward_head(self, features: Float[Tensor, "B T D"], pre_logits: bool = False) -> Float[Tensor, "B K"]:
        """The logits, from what `forward_features` gave; or the vector that the classifier reads (`pre_logits`)."""
        x = self.read(features[:, self.reads])
        return x if pre_logits else self.head(x)

    def checked(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The pictures, where the model can read them."""
        return check_images(images, self.config.in_chans, self.config.image_size, self.patch_embed.proj.weight)

    def reset_classifier(self, num_classes: int, generator: torch.Generator | None = None) -> None:
        """A fresh classifier in place of the old; with 0 classes none, and the model answers with features."""
        self.head = fresh_classifier(self.config.embed_dim, num_classes, self.patch_embed.proj.weight, generator)
        self.config = replace(self.config, num_classes=num_classes, class_names=())

    def layer_groups(self) -> list[list[nn.Module | Tensor | None]]:
        """The parts at each depth, from input to output: the embedding, each block, and what follows the blocks."""
        groups: list[list[nn.Module | Tensor | None]] = [[block] for block in self.blocks]
        below: list[nn.Module | Tensor | None] = [self.patch_embed, self.cls_token, self.reg_token, self.pos_embed]
        return [below, *groups, [self.norm, self.attn_pool, self.fc_norm, self.head]]

    def get_classifier(self) -> nn.Module:
        """The layer whose answers are the logits."""
        return self.head

    def resized(self, image_size: tuple[int, int]) -> "ViT":
        """A copy for pictures of (height, width) pixels; learned positions are resized to the new grid.

        >>> ViT(ViTConfig(embed_dim=64, depth=1, num_heads=1)).resized((384, 320)).config.grid.tokens
        480
        """
        other = copy.deepcopy(self)
        other.set_input_size(image_size)
        return other

    def set_input_size(self, image_size: int | tuple[int, int]) -> None:
        """Make the model itself one for pictures of another size: a side, or (height, width), in pixels.

        Errors: those of the configuration, and of cheaper attention that does not fit the new grid (with_windows,
        with_pooled_keys); the model is then as it was.
        """
        old, config = self.config, replace(self.config, image_size=pair_of(image_size))
        for block in self.blocks:
            block.attn.set_grid(config.grid.rows, config.grid.columns)
        if isinstance(self.pos_embed, nn.Parameter):
            grids = (old.grid.rows, old.grid.columns), (config.grid.rows, config.grid.columns)
            rows = resize_positions(self.pos_embed.detach(), *grids, old.resize, old.prefix_rows)
            self.pos_embed = nn.Parameter(rows.clone(), self.pos_embed.requires_grad)
        self.config = config
        if old.positions != "learned":
            self.keep_tables(self.patch_embed.proj.weight)
