"""Where a ViT beats a CNN, and where it breaks: `python -m vitlib.recipes.same_different`, about a minute on two cores.

Chapter 4 shows what it found, and trains one ViT of its own.

Are two symbols the same? On the patch grid each symbol is one patch, hence one token, and attention compares tokens;
off the grid every symbol is cut, and four tokens hold a piece each. A CNN's windows lie everywhere, and it needs many
more pictures. The task on the grid is made for a ViT; say so whenever you show the numbers.
"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from itertools import chain, product
from multiprocessing import get_context
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from vitlib.data.same_different import same_different
from vitlib.device import best_device, random_state_kept
from vitlib.recipes import stored
from vitlib.training.fit import History, Recipe, fit
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT

VIT = ViTConfig((16, 16), patch_size=4, in_chans=1, num_classes=2, embed_dim=48, depth=2, num_heads=4)
BASE = Recipe(batch_size=64, lr=1e-2, label_smoothing=0.0)
RECIPES = {"ViT": replace(BASE, epochs=3, optimizer="muon"), "CNN": replace(BASE, epochs=5)}  # about as many seconds
TRAIN, TEST = 8000, 2000  # pictures
SEEDS = 5


def small_cnn() -> nn.Module:
    """Three convolutions, the first of them wider than a symbol, then the mean over all places: 48,146 parameters,
    where the ViT has 58,418."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 7, padding=3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 48, 5, padding=2), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(48, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2),
    )  # fmt: skip


def train_one(
    name: str, aligned: bool, seed: int = 0, recipe: Recipe | None = None, train: int = TRAIN, test: int = TEST
) -> tuple[nn.Module, History]:
    """Train a fresh "ViT" or "CNN" on so many pictures, and test it on others after every epoch."""
    with random_state_kept(best_device()):
        torch.manual_seed(seed)
        model = ViT(VIT) if name == "ViT" else small_cnn()
    seen, new = same_different(train, aligned, seed=2 * seed), same_different(test, aligned, seed=2 * seed + 1)
    recipe = replace(recipe or RECIPES[name], seed=seed)
    return model, fit(model.to(best_device()), seen, new, recipe, progress=False)


def compare(name: str, aligned: bool, seed: int = 0, **choices: Any) -> History:
    """The course of one training; `choices` are those of `train_one`."""
    return train_one(name, aligned, seed, **choices)[1]


def compare_all(seeds: int = SEEDS, processes: int = 2, **choices: Any) -> dict[tuple[str, bool], list[History]]:
    """Both models on the grid and off it, with every seed; by (name, aligned). Models this small want a core each.

    `choices` are those of `train_one`.
    """
    tasks = list(product(RECIPES, (True, False)))
    with ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        runs = {task: [pool.submit(compare, *task, seed, **choices) for seed in range(seeds)] for task in tasks}
        for _ in tqdm(as_completed(chain(*runs.values())), "trained", total=len(tasks) * seeds, delay=2):
            pass
        return {task: [run.result() for run in each] for task, each in runs.items()}


def table(histories: dict[tuple[str, bool], list[History]]) -> str:
    """A line for each model and task: the mean over the seeds, its spread, and the time."""
    lines = []
    for (name, aligned), each in histories.items():
        percent = [100 * history.test_accuracy[-1] for history in each]
        spread = f" ± {stdev(percent):.2f}" if len(percent) > 1 else ""
        seconds = mean(sum(history.seconds) for history in each)
        lines.append(
            f"{name} {'on' if aligned else 'off'} the grid: {mean(percent):.2f}{spread} % "
            f"({min(percent):.2f}…{max(percent):.2f}), {seconds:.0f} s a seed"
        )
    return "\n".join(lines)


def curves(histories: dict[tuple[str, bool], list[History]]) -> list[dict[str, Any]]:
    """For each model and task, what share of the test pictures each seed got right after each epoch, 0…1."""
    return [
        {"model": name, "aligned": aligned, "accuracy": [history.test_accuracy for history in each]}
        for (name, aligned), each in histories.items()
    ]


def results() -> list[dict[str, Any]]:
    """The curves that were found when the recipe was last run."""
    rows: list[dict[str, Any]] = stored.read("same_different")["curves"]
    return rows


if __name__ == "__main__":
    found = compare_all()
    print(table(found))
    print(stored.write("same_different", {"seeds": SEEDS, "pictures": TRAIN, "curves": curves(found)}))
