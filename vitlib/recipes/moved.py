"""Digits as they are, and digits that move: what augmentation costs and gains, `python -m vitlib.recipes.moved`.

The model of chapter 7, two blocks of 32 numbers a token, trained for 8 and for 40 epochs, with digits as they are and
with each of them moved by up to a pixel; then tested on both. Five seeds each; about two minutes on two idle cores.
"""

from dataclasses import replace
from typing import Any

import torch

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.recipes import stored
from vitlib.training import augment
from vitlib.training.fit import Recipe, evaluate, fit

RECIPE = Recipe(lr=1e-2, label_smoothing=0.0)
SHAPE = {"patch_size": 4, "depth": 2, "embed_dim": 32, "num_heads": 4}
EPOCHS, SEEDS = (8, 40), 5


def compare(epochs: tuple[int, ...] = EPOCHS, seeds: int = SEEDS) -> dict[str, Any]:
    """Test accuracies, by training and length: on digits as they are, and on the same digits, moved."""
    pool, test = digits()
    train, _ = pool.split(5)  # the chapter's: its validation digits are left out
    moved = Pictures(_moved(test), test.labels, test.classes)
    runs = []
    for shift in (0, 1):
        for length in epochs:
            found: dict[str, Any] = {"shift": shift, "epochs": length, "as it is": [], "moved": []}
            for seed in range(seeds):
                model = create("vit_digits_patch2_8", **SHAPE, seed=seed)
                fit(model, train, recipe=replace(RECIPE, epochs=length, shift=shift, seed=seed), progress=False)
                found["as it is"].append(evaluate(model, test))
                found["moved"].append(evaluate(model, moved))
            runs.append(found)
            print(table({"runs": [found]}).splitlines()[-1], flush=True)
    return {"seeds": seeds, "test pictures": len(test), "runs": runs}


def _moved(pictures: Pictures) -> torch.Tensor:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return augment.shift(pictures.images, 1)


def results() -> dict[str, Any]:
    """What `compare` found when the recipe was last run."""
    return stored.read("moved")


def table(found: dict[str, Any]) -> str:
    """A line for each training: per cent of the test digits right, mean and spread."""
    lines = ["trained on digits  epochs   test as it is     test moved"]
    for run in found["runs"]:
        words = "each moved" if run["shift"] else "as they are"
        cells = [stored.with_spread(run[kind]) for kind in ("as it is", "moved")]
        lines.append(f"{words:18} {run['epochs']:6}   {cells[0]:>13}   {cells[1]:>12}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(stored.write("moved", compare()))
