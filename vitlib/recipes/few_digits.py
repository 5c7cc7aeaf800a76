"""Few pictures, and no pretraining: a small CNN or a small ViT? `python -m vitlib.recipes.few_digits`, some minutes.

Chapter 4 shows what it found, and trains one pair of its own.

Both learn to read 100 or 300 handwritten digits, as they are or moved by up to a pixel. Every seed has weights and
digits of its own, and is measured on the test pictures once. The ViT takes twice as many steps, with the optimizer and
the learning rate of vitlib.recipes.digits; the CNN's rate was chosen on validation pictures, where 0.001, 0.003 and
0.01 lay close together.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from vitlib.data.datasets import digits
from vitlib.device import best_device, random_state_kept
from vitlib.models import create
from vitlib.recipes import stored
from vitlib.recipes.digits import RECIPE as DIGITS
from vitlib.training.fit import Recipe, evaluate, fit

TASKS = ((100, 0), (300, 0), (100, 1))  # digits to learn from; pixels that a picture is moved by, at most
SEEDS = 5
STEPS = {"CNN": 120, "ViT": 240}
RECIPES = {
    "CNN": Recipe(batch_size=32, lr=3e-3),
    "ViT": Recipe(batch_size=32, lr=DIGITS.lr, optimizer=DIGITS.optimizer),
}


def small_vit(seed: int = 0) -> nn.Module:
    """16 patches of 2 × 2 pixels, 3 blocks: 39,242 parameters. It classifies by the mean of its patches, which suits
    few pictures better than CLS does."""
    return create("vit_digits_patch2_8", embed_dim=32, global_pool="avg", seed=seed)


def small_cnn(seed: int = 0, width: int = 26) -> nn.Module:
    """Three convolutions of 3 × 3, then the mean over all places: 37,658 parameters."""

    def layer(before: int, after: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

    with random_state_kept(best_device()):
        torch.manual_seed(seed)
        body = [layer(1, width), nn.MaxPool2d(2), layer(width, 2 * width), layer(2 * width, 2 * width)]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)]
    return nn.Sequential(*body, *head).to(best_device())


MODELS = {"CNN": small_cnn, "ViT": small_vit}


def accuracy(name: str, size: int, shift: int = 0, seed: int = 0) -> float:
    """Train a fresh "CNN" or "ViT" on `size` digits, and say what share of the test digits it gets right, 0…1.

    The seed decides which digits, which weights, and the order.
    """
    train, test = digits()
    few = train.take(torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:size])
    model, base = MODELS[name](seed), RECIPES[name]
    epochs = round(STEPS[name] * base.batch_size / size)
    fit(model, few, recipe=replace(base, epochs=epochs, shift=shift, seed=seed), progress=False)
    return evaluate(model, test)


def compare(
    tasks: Sequence[tuple[int, int]] = TASKS, seeds: int = SEEDS, progress: bool = True
) -> list[dict[str, Any]]:
    """A row for each task and model: the number of digits, the shift, and the accuracy of every seed."""
    rows = []
    for (size, shift), name in tqdm(list(product(tasks, MODELS)), unit="comparison", disable=not progress):
        each = [round(accuracy(name, size, shift, seed), 4) for seed in range(seeds)]
        rows.append({"digits": size, "shift": shift, "model": name, "accuracy": each})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each row: the mean over the seeds, their spread, the worst and the best."""
    lines = []
    for row in rows:
        each = [100 * value for value in row["accuracy"]]
        spread = f" ± {stdev(each):.1f}" if len(each) > 1 else ""
        moved = "moved" if row["shift"] else "as they are"
        lines.append(
            f"{row['digits']} digits {moved:11}  {row['model']}: {mean(each):.1f}{spread} % "
            f"({min(each):.1f}…{max(each):.1f})"
        )
    return "\n".join(lines)


def results() -> list[dict[str, Any]]:
    """The rows that `compare` gave when the recipe was last run."""
    rows: list[dict[str, Any]] = stored.read("few_digits")["rows"]
    return rows


if __name__ == "__main__":
    found = compare()
    print(table(found))
    print(stored.write("few_digits", {"seeds": SEEDS, "rows": found}))
