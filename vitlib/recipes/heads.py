"""Chapter 8: three heads on a small ViT, trained: a label for each pixel, a box for each thing, a caption.

`python -m vitlib.recipes.heads` trains each with three seeds and writes heads.json, which chapter 8 reads: some minutes
on two cores.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations, product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from tqdm.auto import tqdm

from vitlib.data.datasets import digits
from vitlib.data.pictures import normalise
from vitlib.recipes.scenes import MOST, NOTHING, SIDE, Scenes, borders, scenes
from vitlib.training.optim import optimizers, schedule
from vitlib.training.steps import steps
from vitlib.vit.config import ViTConfig
from vitlib.vit.encoder import Block
from vitlib.vit.model import ViT

FILE = Path(__file__).with_suffix(".json")
PATCH, CLASSES = 4, NOTHING + 1  # pixels; ten digits, and nothing
QUERIES = 4  # tokens that look for a digit
RARE = torch.tensor([1.0] * 10 + [0.3])  # weights of the classes in the loss: most pixels and most queries are nothing
BODY = ViTConfig((SIDE, SIDE), PATCH, in_chans=1, num_classes=0, embed_dim=64, depth=2, num_heads=4)


class Segmenter(nn.Module):
    """A ViT and a linear head: for each pixel, a score for each class.

    fine: a patch token gives P² scores for each class, one for each of its pixels; else it gives one, and the map is
    enlarged bilinearly.
    """

    def __init__(self, fine: bool = True, seed: int = 0) -> None:
        super().__init__()
        self.fine, dice = fine, torch.Generator().manual_seed(seed)
        self.body = ViT(BODY, dice)
        self.head = _linear(BODY.embed_dim, CLASSES * PATCH**2 if fine else CLASSES, dice)

    def forward(self, images: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B K H W"]:
        grid = BODY.grid
        scores = self.head(self.body.forward_features(images)[:, 1:])  # B N K·P² or B N K
        maps = scores.transpose(1, 2).unflatten(2, (grid.rows, grid.columns))  # B K·P² R C or B K R C
        return F.pixel_shuffle(maps, PATCH) if self.fine else F.interpolate(maps, scale_factor=PATCH, mode="bilinear")


class Detector(nn.Module):
    """A ViT with registers that look for things: each answers with a class and a box (YOLOS: Fang et al., 2021)."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        dice = torch.Generator().manual_seed(seed)
        self.body = ViT(replace(BODY, reg_tokens=QUERIES), dice)
        self.to_class = _linear(BODY.embed_dim, CLASSES, dice)
        self.to_box = _linear(BODY.embed_dim, 4, dice)

    def forward(self, images: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B Q K"], Float[Tensor, "B Q 4"]]:
        found = self.body.forward_features(images)[:, 1 : 1 + QUERIES]  # B Q D
        return self.to_class(found), self.to_box(found).sigmoid()


class TwoTowers(nn.Module):
    """A ViT and a Transformer for words, which put a picture and its caption into the same direction of one space."""

    def __init__(self, seed: int = 0, width: int = 48) -> None:
        super().__init__()
        dice = torch.Generator().manual_seed(seed)
        self.vision = ViT(ViTConfig((8, 16), PATCH, 1, width, embed_dim=width, depth=2, num_heads=4), dice)
        self.words = nn.Parameter(torch.randn(10, width, generator=dice))
        self.places = nn.Parameter(torch.randn(2, width, generator=dice))
        self.text = nn.Sequential(Block(width, 4), nn.LayerNorm(width))
        for layer in self.text.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.1, generator=dice)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: Float[Tensor, "A 1 8 16"], captions: Int64[Tensor, "B 2"]) -> Float[Tensor, "A B"]:
        """How well each picture goes with each caption: the scaled cosine of their vectors."""
        seen = F.normalize(self.vision(images), dim=1)  # A D
        read = F.normalize(self.text(self.words[captions] + self.places).mean(dim=1), dim=1)  # B D
        return self.scale.exp() * seen @ read.T


def _linear(inputs: int, outputs: int, dice: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=0.02, generator=dice)
    nn.init.zeros_(layer.bias)
    return layer


def train(
    model: nn.Module, count: int, seed: int, loss_of: Callable[[Tensor], Tensor], size: int, progress: bool = True
) -> None:
    """`count` steps of Muon on batches of 32 out of `size`, with a warm-up and a way down: chapter 7's loop."""
    dice = torch.Generator().manual_seed(seed)
    batches = (torch.randint(size, (32,), generator=dice) for _ in range(count))
    made = optimizers(model, "muon", lr=1e-2, weight_decay=0.02)
    plans = [schedule(each, count, warmup=count // 10) for each in made]
    walk = steps(model.train(), batches, lambda chosen: (loss_of(chosen), torch.zeros(())), made, plans)
    for _ in tqdm(walk, type(model).__name__, total=count, disable=not progress, delay=2, leave=False):
        pass
    model.eval()


def ready(images: Tensor) -> Tensor:
    """Bytes as the numbers −1…1 that the models learn from."""
    return normalise(images, BODY.mean, BODY.std)


# a label for each pixel


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


# a box for each thing


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


PAIRINGS = torch.tensor(list(permutations(range(QUERIES), MOST)))  # which query answers for which thing


def detection_loss(logits: Float[Tensor, "B Q K"], boxes: Float[Tensor, "B Q 4"], truth: Scenes) -> Float[Tensor, ""]:
    """Cross-entropy of the classes and distance of the boxes, under the pairing that costs least."""
    there = truth.classes != NOTHING  # B T
    apart = (boxes[:, :, None] - truth.boxes[:, None]).abs().sum(dim=-1)  # B Q T
    costs = -logits.log_softmax(dim=-1).gather(2, truth.classes[:, None].expand(-1, QUERIES, -1)) + 5 * apart
    costs = (costs * there[:, None]).detach()
    pairings = PAIRINGS.to(logits.device)
    total = costs[:, pairings, torch.arange(MOST)].sum(dim=-1)  # B pairings
    best = pairings[total.argmin(dim=1)]  # B T
    targets = torch.full_like(logits[..., 0], NOTHING, dtype=torch.long)
    targets.scatter_(1, best, truth.classes)
    named = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), RARE)
    return named + 5 * apart.gather(1, best[:, None])[:, 0][there].mean()


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


# a caption for each picture

PAIRS = torch.tensor(list(product(range(10), range(10))))  # 100 captions: the digit on the left, the one on the right
NEW = torch.tensor([(left * 3 + right) % 5 == 0 for left, right in PAIRS.tolist()])  # 20 that training leaves out


class Pairs:
    """Pictures of two digits beside each other, of training digits or of test digits."""

    def __init__(self, seed: int, test: bool = False) -> None:
        self.pool, self.dice = digits()[test], torch.Generator().manual_seed(seed)
        self.of = [(self.pool.labels == digit).nonzero()[:, 0] for digit in range(10)]

    def __call__(self, captions: Int64[Tensor, "B 2"]) -> Float[Tensor, "B 1 8 16"]:
        """A picture for each caption."""
        drawn = torch.randint(2**30, captions.shape, generator=self.dice)
        each = [
            [self.of[digit][draw % len(self.of[digit])] for digit, draw in zip(*row, strict=True)]
            for row in zip(captions.tolist(), drawn.tolist(), strict=True)
        ]
        left, right = torch.tensor(each).T
        return ready(torch.cat([self.pool.images[left], self.pool.images[right]], dim=3))


def train_towers(seed: int = 0, updates: int = 500, progress: bool = True) -> TwoTowers:
    """Two towers, trained with CLIP's loss: a picture picks its caption among all, a caption its picture."""
    model, pictures, known = TwoTowers(seed), Pairs(seed), PAIRS[~NEW]

    def loss_of(_: Tensor) -> Tensor:
        scores = model(pictures(known), known)  # 80 80: the right ones on the diagonal
        answers = torch.arange(len(known))
        return (F.cross_entropy(scores, answers) + F.cross_entropy(scores.T, answers)) / 2

    train(model, updates, seed, loss_of, len(known), progress)
    return model


@torch.no_grad()
def matched(model: TwoTowers, rounds: int = 5) -> dict[str, float]:
    """Of pictures of test digits, the share that picks its own caption among all 100: known captions, and new ones."""
    pictures = Pairs(seed=1, test=True)
    right = torch.stack([model(pictures(PAIRS), PAIRS).argmax(dim=1) == torch.arange(100) for _ in range(rounds)])
    return {"known": right[:, ~NEW].double().mean().item(), "new": right[:, NEW].double().mean().item()}


# all of them, and what chapter 8 reads

SEEDS, SHOWN = 3, 6  # seeds; test scenes whose answers are stored
TRAIN: dict[str, Callable[..., Any]] = {
    "coarse": partial(train_segmenter, False),
    "fine": partial(train_segmenter, True),
    "detector": train_detector,
    "towers": train_towers,
}
HEADS = tuple(TRAIN)


def stored() -> dict[str, Any]:
    """What the recipe found: for each head a list in per cent, one number a seed, and the first seed's answers."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def train_all(names: tuple[str, ...] = HEADS, seeds: int = SEEDS, **choices: Any) -> dict[str, Any]:
    """These heads with every seed, measured on the same test scenes. `choices` go to each training."""
    test = scenes(500, test=True)
    some = test.take(slice(0, SHOWN))
    found: dict[str, Any] = {"shown": SHOWN, "seeds": seeds}
    for name in names:
        models = [TRAIN[name](seed, **choices) for seed in range(seeds)]
        if name == "towers":
            found[name] = _per_cent([matched(each) for each in models])
        elif name == "detector":
            found[name] = _per_cent([detected(each, test) for each in models]) | {"shown": boxes_of(models[0], some)}
        else:
            with torch.no_grad():
                answers = models[0](ready(some.images)).argmax(dim=1)
            found[name] = _per_cent([segmented(each, test) for each in models]) | {"shown": answers.tolist()}
    return found


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


def _per_cent(found: list[dict[str, float]]) -> dict[str, list[float]]:
    """One list for each measure, a number a seed."""
    return {name: [round(100 * each[name], 1) for each in found] for name in found[0]}


if __name__ == "__main__":
    FILE.write_text(json.dumps(train_all()) + "\n")
