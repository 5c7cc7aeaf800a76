"""What the attention explorer shows: the shares that a token takes from all tokens, in words and as a still picture.

Pure functions; the controls are in attention.py, the picture that answers to clicks in attention.js.
"""

import base64
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from vitlib.data.pictures import normalise
from vitlib.plotting import Plate, draw_picture
from vitlib.vit.attention_maps import attention_maps, rollout
from vitlib.vit.model import ViT
from vitlib.vit.patches import PatchGrid

SHOWN = 320  # screen pixels of the picture's longer side


@dataclass(frozen=True, eq=False)
class Look:
    """A model's look at one picture: the picture as the model gets it, and all its attention maps."""

    pixels: UInt8[Tensor, "3 H W"]
    grid: PatchGrid
    maps: Float[Tensor, "L h T T"]

    @cached_property
    def flows(self) -> list[Float[Tensor, "T T"]]:
        """Rollout after 1, 2, …, L layers."""
        return [rollout(self.maps[None, : layer + 1])[0] for layer in range(len(self.maps))]

    def table(self, layer: int, head: int | None, follow: bool) -> Float[Tensor, "T T"]:
        """What each token takes from each, in a layer (0…L − 1) and a head (None: their mean), or followed to there."""
        if follow:
            return self.flows[layer]
        return self.maps[layer].mean(dim=0) if head is None else self.maps[layer, head]

    @property
    def source(self) -> str:
        """The picture as the address of an image in a page, enlarged without blur."""
        image = Image.fromarray(self.pixels.permute(1, 2, 0).numpy())  # C H W → H W C
        times = max(1, SHOWN // max(image.size))
        file = io.BytesIO()
        image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST).save(file, format="png")
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@torch.no_grad()
def look(model: ViT, picture: UInt8[Tensor, "3 H W"]) -> Look:
    """Let a model look at the largest part in a picture's middle that has the shape the model wants.

    >>> from vitlib import create
    >>> from vitlib.data.samples import picture
    >>> seen = look(create("vit_cifar_patch4_32"), picture("chelsea"))
    >>> seen.pixels.shape, seen.maps.shape
    (torch.Size([3, 32, 32]), torch.Size([6, 3, 65, 65]))

    Errors: ValueError for a model without CLS.
    """
    config = model.config
    if not config.class_token:
        raise ValueError("the model has no CLS token, which the explorer shows; create it with class_token=True")
    pixels = middle(picture, config.image_size)
    _, maps = attention_maps(model, normalise(pixels[None], config.mean, config.std))
    patches = config.grid.tokens
    kept = torch.tensor([0, *range(maps.shape[-1] - patches, maps.shape[-1])])  # CLS and patches; no registers
    return Look(pixels, config.grid, maps[0][..., kept, :][..., kept])


def middle(picture: UInt8[Tensor, "3 H W"], size: tuple[int, int]) -> UInt8[Tensor, "3 H2 W2"]:
    """The largest part in the middle of a picture that has the proportions of `size`, scaled to it (Lanczos)."""
    height, width = picture.shape[1:]
    scale = min(height / size[0], width / size[1])
    high, wide = round(size[0] * scale), round(size[1] * scale)
    top, left = (height - high) // 2, (width - wide) // 2
    image = Image.fromarray(picture[:, top : top + high, left : left + wide].permute(1, 2, 0).numpy())
    small = image.resize((size[1], size[0]), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)  # H W C → C H W


def token_name(token: int, grid: PatchGrid) -> str:
    """What a token is called in a sentence: CLS, or a patch with its place.

    >>> token_name(10, PatchGrid(32, 32, 4))
    'patch 10 (row 2, column 2)'
    """
    if token == 0:
        return "CLS"
    row, column = divmod(token - 1, grid.columns)
    return f"patch {token} (row {row + 1}, column {column + 1})"


def sentence(seen: Look, table: Float[Tensor, "T T"], query: int, where: str) -> str:
    """One row of a table of attention in words: who asks, who answers, and from how far."""
    row = table[query]
    top = row.argsort(descending=True)[:3].tolist()
    answers = ", ".join(f"{row[token]:.1%} from {token_name(token, seen.grid)}" for token in top)
    half = int((row.sort(descending=True).values.cumsum(dim=0) < 0.5).sum()) + 1
    words = f"{where}: {token_name(query, seen.grid)} takes most, {answers}. "
    words += f"{half} of {len(row)} tokens give half of all it takes"
    return words + ("." if query == 0 else f"; {row[query]:.1%} comes from itself, {row[0]:.1%} from CLS.")


def still(seen: Look, shares: Float[Tensor, "T"], query: int, title: str) -> Plate:
    """The explorer without a kernel: the picture with the token that asks, and beside it what that token takes."""
    height, width = seen.pixels.shape[1:]
    figure = Plate(figsize=(6.0, 3.3), layout="constrained")
    asks, answers = figure.subplots(1, 2)
    for axes in (asks, answers):
        draw_picture(axes, seen.pixels)
    light = (shares[1:] / shares[1:].max()).reshape(seen.grid.rows, seen.grid.columns)
    shade = torch.zeros(*light.shape, 4)
    shade[..., 3] = 0.92 * (1 - light)
    answers.imshow(shade.numpy(), extent=(0, width, height, 0))
    if query > 0:
        row, column = divmod(query - 1, seen.grid.columns)
        y, x = row * seen.grid.patch_height, column * seen.grid.patch_width
        right, bottom = x + seen.grid.patch_width, y + seen.grid.patch_height
        for colour, line in (("black", 4), ("#F0E442", 2)):
            asks.plot([x, right, right, x, x], [y, y, bottom, bottom, y], color=colour, linewidth=line)
    asks.set_title("who asks: " + ("CLS" if query == 0 else f"patch {query}"), fontsize=10)
    answers.set_title(title, fontsize=10)
    return figure
