"""Where a ViT beats a CNN, and where it breaks: `python -m vitlib.recipes.same_different`.

Are two symbols the same? On the patch grid each symbol is one patch, hence one token, and attention compares tokens;
off the grid every symbol is cut, and four tokens hold a piece each. A CNN sees both tasks alike, since its windows lie
everywhere. The task on the grid is made for a ViT; say so whenever you show the numbers.
"""

from dataclasses import replace
from statistics import mean, stdev

from torch import nn

from vitlib.config import ViTConfig
from vitlib.device import best_device
from vitlib.synthetic import same_different
from vitlib.train import History, Recipe, fit
from vitlib.vit import ViT

VIT = ViTConfig((16, 16), patch=4, channels=1, num_classes=2, width=48, depth=3, heads=4)
RECIPE = Recipe(epochs=4, batch=128, optimizer="muon", lr=1e-2, smoothing=0.0)
TRAIN, TEST = 8000, 2000  # pictures


def small_cnn() -> nn.Module:
    """Four convolutions of 3 × 3, then the mean over all places: 60,706 parameters, where the ViT has 86,690."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2),
    )  # fmt: skip


def compare(model: nn.Module, aligned: bool, seed: int = 0, progress: bool = True) -> History:
    """Train a model on the task, and test it on pictures that it never saw."""
    train = same_different(TRAIN, aligned, seed=2 * seed)
    test = same_different(TEST, aligned, seed=2 * seed + 1)
    return fit(model.to(best_device()), train, test, replace(RECIPE, seed=seed), progress=progress)


if __name__ == "__main__":
    import torch

    for name in ("ViT", "CNN"):
        for aligned in (True, False):
            histories = []
            for seed in range(5):
                torch.manual_seed(seed)
                histories.append(compare(ViT(VIT) if name == "ViT" else small_cnn(), aligned, seed))
            accuracies = [100 * history.test_accuracy[-1] for history in histories]
            seconds = mean(sum(history.seconds) for history in histories)
            where = "on the grid" if aligned else "off the grid"
            print(
                f"{name} {where}: {mean(accuracies):.1f} ± {stdev(accuracies):.1f} % "
                f"({min(accuracies):.1f}…{max(accuracies):.1f}), {seconds:.0f} s a seed", flush=True,
            )  # fmt: skip
