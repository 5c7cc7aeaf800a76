"""One picture's way through a ViT, stage by stage: the tensors, their shapes, and each stage in a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vitlib.data.pictures import normalise
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.vit.patches import patchify
from vitlib.widgets.attention_view import middle
from vitlib.widgets.pictures import percent

STAGES = ("patchify", "embed", "token row", "encoder", "classify")


@dataclass(frozen=True, eq=False)
class Walk:
    """One picture's way through a model, from its pixels to a share for each class."""

    pixels: UInt8[Tensor, "3 H W"]  # as the model gets them
    config: ViTConfig
    classes: tuple[str, ...]
    patches: Float[Tensor, "N L"]  # flattened, as the embedding reads them
    steps: dict[str, Tensor]  # what return_all names

    def rows(self, stage: int, blocks: int | None = None) -> Float[Tensor, "R _"]:
        """The table after a stage, one row for each token; after fewer blocks of the encoder, if asked for."""
        if stage == 1:
            return self.patches
        if stage == 5:
            return self.steps["pooled"]
        if blocks is None:
            blocks = self.config.depth if stage == 4 else 0
        row = f"blocks.{blocks - 1}.+mlp" if blocks else "tokens"
        return self.steps["patch_embed" if stage == 2 else row][0]

    @property
    def shares(self) -> Float[Tensor, "K"]:
        """Softmax of the logits: one share for each class, together 1."""
        return self.steps["logits"][0].softmax(dim=0)

    def prefix(self, stage: int) -> int:
        """Rows before those of the patches."""
        return self.config.prefix if stage in (3, 4) else 0


@torch.no_grad()
def walk(model: ViT, picture: UInt8[Tensor, "3 H W"], classes: Sequence[str] | None = None) -> Walk:
    """Send the largest part in a picture's middle that has the model's proportions through the model.

    classes: their names, numbers from 0 where nothing is given.

    >>> from vitlib import create
    >>> from vitlib.data.samples import picture
    >>> way = walk(create("vit_cifar_patch4_32"), picture("chelsea"))
    >>> [tuple(way.rows(stage).shape) for stage in (1, 2, 3, 4)]
    [(64, 48), (64, 192), (65, 192), (65, 192)]

    Errors: ValueError for a model whose classifier does not read CLS, and for as many names as there are no classes.
    """
    config = model.config
    if config.global_pool != "token":
        raise ValueError(
            f'pooling is {config.global_pool!r}: the pipeline shows a head that reads CLS, global_pool="token"'
        )
    names = tuple(classes or map(str, range(config.num_classes)))
    if len(names) != config.num_classes:
        raise ValueError(f"{len(names)} names for {config.num_classes} classes: expected one name for each logit")
    pixels = middle(picture, config.image_size)
    images = normalise(pixels[None], config.mean, config.std)
    steps = {name: each.cpu() for name, each in model(images, return_all=True).items()}  # drawn from there
    return Walk(pixels, config, names, patchify(images, config.patch_size)[0], steps)


def shape(view: Walk, stage: int) -> str:
    """The shape of what a stage gives: `[65, 192]`."""
    size = [view.config.num_classes] if stage == 5 else list(view.rows(stage).shape)
    return str(size)


def sentence(view: Walk, stage: int) -> str:
    """What a stage does, with the shape that it gives."""
    c, grid = view.config, view.config.grid
    length, n = view.patches.shape[1], grid.tokens
    front = "CLS" if c.prefix == 1 else f"CLS and {c.reg_tokens} registers"
    place = "" if c.positions == "none" else ", and adds to each the vector of its place"
    said = (
        f"Patchify cuts the picture of {grid.height} × {grid.width} pixels into {n} patches of {grid.patch_height} × "
        f"{grid.patch_width} and lays each out as {length} numbers",
        f"Embed turns the {length} numbers of every patch into a token of {c.embed_dim}, all by the same matrix",
        f"The token row puts {front} in front, {c.prefix} + {n} = {c.tokens} tokens{place}",
        f"The encoder lets the tokens take from one another, in {c.depth} blocks; the shape stays as it was",
        f"Classify reads the row of CLS alone and makes of its {c.embed_dim} numbers one for each of {c.num_classes} "
        "classes; softmax turns them into probabilities",
    )
    return f"{said[stage - 1]}: {shape(view, stage)}."


def followed(view: Walk, stage: int, patch: int) -> str:
    """Where the followed patch is after a stage; at the end, what the model says."""
    if stage == 5:
        best = int(view.shares.argmax())
        return f"The most probable class is “{view.classes[best]}”, with {percent(view.shares[best])}."
    row, column = divmod(patch - 1, view.config.grid.columns)
    index = view.prefix(stage) + patch - 1
    behind = ", since CLS is row 0" if view.prefix(stage) else ", counted from 0"
    return f"Patch {patch}, in row {row + 1} and column {column + 1} of the grid, is row {index} of the table{behind}."
