"""Handwritten digits in less than a minute on two cores: `python -m vitlib.recipes.digits`.

Five seeds one after another, and the mean of their test accuracies with its spread.
"""

from dataclasses import replace
from statistics import mean, stdev

from vitlib.data.datasets import digits
from vitlib.models import create
from vitlib.training.fit import History, Recipe, fit
from vitlib.vit.model import ViT

RECIPE = Recipe(epochs=60, batch_size=64, optimizer="muon", lr=1e-2, shift=1, mixup=0.2, ema=0.98)


def train_digits(seed: int = 0, recipe: Recipe = RECIPE, progress: bool = True) -> tuple[ViT, History]:
    """A ViT of 4 × 4 patches, 2 × 2 pixels each, that reads digits; from fresh weights of this seed.

    It classifies by the mean of its patches: with so few pictures, CLS learns too slowly what to collect.
    """
    train, test = digits()
    model = create("vit_digits_patch2_8", seed=seed, global_pool="avg")
    return model, fit(model, train, test, replace(recipe, seed=seed), progress=progress)


if __name__ == "__main__":
    accuracies, seconds = [], []
    for seed in range(5):
        _, history = train_digits(seed)
        accuracies.append(100 * history.test_accuracy[-1])
        seconds.append(sum(history.seconds))
        print(f"seed {seed}: {accuracies[-1]:.2f} % of the test digits, {seconds[-1]:.0f} s", flush=True)
    print(f"mean {mean(accuracies):.2f} ± {stdev(accuracies):.2f} %, {mean(seconds):.0f} s a seed")
