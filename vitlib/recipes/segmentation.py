"""Chapter 8: a label for each pixel, from one score a token or from P² of them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.recipes.body import BODY, CLASSES, PATCH, RARE, linear, ready, train
from vitlib.recipes.scenes import NOTHING, Scenes, borders, scenes
from vitlib.vit.model import ViT


class Segmenter(nn.Module):
    """A ViT and a linear head: for each pixel, a score for each class.

    fine: a patch token gives P² scores for each class, one for each of its pixels; else it gives one, and the map is
    enlarged bilinearly.
    """

    def __init__(self, fine: bool = True, seed: int = 0) -> None:
        super().__init__()
        self.fine, generator = fine, torch.Generator().manual_seed(seed)
        self.body = ViT(BODY, generator)
        self.head = linear(BODY.embed_dim, CLASSES * PATCH**2 if fine else CLASSES, generator)

    def forward(self, images: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B K H W"]:
        grid = BODY.grid
        scores = self.head(self.body.forward_features(images)[:, 1:])  # B N K·P² or B N K
        maps = scores.transpose(1, 2).unflatten(2, (grid.rows, grid.columns))  # B K·P² R C or B K R C
        return F.pixel_shuffle(maps, PATCH) if self.fine else F.interpolate(maps, scale_factor=PATCH, mode="bilinear")


def train_segmenter(fine: bool, seed: int = 0, updates: int = 1000, count: int = 3000) -> Segmenter:
    """A segmenter of scenes, trained with the cross-entropy of every pixel."""
    model = Segmenter(fine, seed)
    known = scenes(count, seed)

    def loss_of(chosen: Tensor) -> Tensor:
        return F.cross_entropy(model(ready(known.images[chosen])), known.pixels[chosen], RARE)

    train(model, updates, seed, loss_of, count)
    return model


@torch.no_grad()
def segmented(model: Segmenter, some: Scenes) -> dict[str, float]:
    """The share of right pixels: of all, of those of digits, and of those at a border."""
    right = model(ready(some.images)).argmax(dim=1) == some.pixels
    where = {"pixels": torch.ones_like(right), "ink": some.pixels != NOTHING, "border": borders(some.pixels)}
    return {name: right[mask].double().mean().item() for name, mask in where.items()}
