"""Chapter 8: a box for each thing, by tokens that look for it; trained as DETR is (Carion et al., 2020)."""

from dataclasses import replace
from itertools import permutations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.recipes.body import BODY, CLASSES, RARE, linear, ready, train
from vitlib.recipes.scenes import MOST, NOTHING, Scenes, scenes
from vitlib.vit.model import ViT

QUERIES = 4  # tokens that look for a digit
PAIRINGS = torch.tensor(list(permutations(range(QUERIES), MOST)))  # which query answers for which thing


class Detector(nn.Module):
    """A ViT with registers that look for things: each answers with a class and a box (YOLOS: Fang et al., 2021)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.body = ViT(replace(BODY, reg_tokens=QUERIES), generator)
        self.to_class = linear(BODY.embed_dim, CLASSES, generator)
        self.to_box = linear(BODY.embed_dim, 4, generator)

    def forward(self, images: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B Q K"], Float[Tensor, "B Q 4"]]:
        found = self.body.forward_features(images)[:, 1 : 1 + QUERIES]  # B Q D
        return self.to_class(found), self.to_box(found).sigmoid()


def train_detector(seed: int = 0, updates: int = 2000, count: int = 3000) -> Detector:
    """A detector of digits, trained with DETR's loss: first match queries and digits, then compare them."""
    model = Detector(seed)
    known = scenes(count, seed)

    def loss_of(chosen: Tensor) -> Tensor:
        part = known.take(chosen)
        logits, boxes = model(ready(part.images))
        return detection_loss(logits, boxes, part)

    train(model, updates, seed, loss_of, count)
    return model


def detection_loss(logits: Float[Tensor, "B Q K"], boxes: Float[Tensor, "B Q 4"], truth: Scenes) -> Float[Tensor, ""]:
    """Cross-entropy of the classes and distance of the boxes, under the pairing that costs least."""
    there = truth.classes != NOTHING  # B T
    distance = (boxes[:, :, None] - truth.boxes[:, None]).abs().sum(dim=-1)  # B Q T
    costs = -logits.log_softmax(dim=-1).gather(2, truth.classes[:, None].expand(-1, QUERIES, -1)) + 5 * distance
    costs = (costs * there[:, None]).detach()
    pairings = PAIRINGS.to(logits.device)
    total = costs[:, pairings, torch.arange(MOST)].sum(dim=-1)  # B pairings
    best = pairings[total.argmin(dim=1)]  # B T
    targets = torch.full_like(logits[..., 0], NOTHING, dtype=torch.long)
    targets.scatter_(1, best, truth.classes)
    named = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), RARE)
    return named + 5 * distance.gather(1, best[:, None])[:, 0][there].mean()


@torch.no_grad()
def detected(model: Detector, some: Scenes) -> dict[str, float]:
    """The share of digits that some query found (right class, box overlapping by half); false finds for each scene."""
    logits, boxes = model(ready(some.images))
    said = logits.argmax(dim=-1)  # B Q
    there = some.classes != NOTHING
    hit = (said[:, :, None] == some.classes[:, None]) & (overlap(boxes, some.boxes) >= 0.5) & there[:, None]  # B Q T
    found = hit.any(dim=1)[there].double().mean().item()
    false = ((said != NOTHING) & ~hit.any(dim=2)).double().sum(dim=1).mean().item()
    return {"found": found, "false": false}


def overlap(one: Float[Tensor, "B Q 4"], other: Float[Tensor, "B T 4"]) -> Float[Tensor, "B Q T"]:
    """Intersection over union of every pair of boxes."""
    (low, high), (low2, high2) = (((b[..., :2] - b[..., 2:] / 2), (b[..., :2] + b[..., 2:] / 2)) for b in (one, other))
    sides = torch.minimum(high[:, :, None], high2[:, None]) - torch.maximum(low[:, :, None], low2[:, None])
    both = sides.clamp(min=0).prod(dim=-1)
    return both / (one[..., 2:].prod(dim=-1)[:, :, None] + other[..., 2:].prod(dim=-1)[:, None] - both)


@torch.no_grad()
def boxes_of(model: Detector, some: Scenes) -> list[list[tuple[int, int, list[float]]]]:
    """For each scene: the tokens that have found something, what, and where."""
    logits, boxes = model(ready(some.images))
    said = logits.argmax(dim=-1)
    return [
        [
            (q, digit, [round(x, 3) for x in box])
            for q, (digit, box) in enumerate(zip(*each, strict=True))
            if digit != NOTHING
        ]
        for each in zip(said.tolist(), boxes.tolist(), strict=True)
    ]
