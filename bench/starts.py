"""What a plain ViT's start is worth: short runs on CIFAR-10 from random weights and from better ones.

    python bench/starts.py PICTURES --seeds 3      the official archive, its folder, or an .npz of JPEG files

Two epochs of 10,000 training pictures at 16 × 16 pixels, then 3000 test pictures; about a CPU minute a run, one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from vitlib.data.datasets import cifar10
from vitlib.data.pictures import Pictures
from vitlib.device import best_device, fast_bfloat16
from vitlib.models import create
from vitlib.recipes.cifar10 import BASE, shrunk
from vitlib.recipes.neighbours import embed_whitened, look_at_neighbours
from vitlib.training.fit import evaluate, fit
from vitlib.vit.model import ViT

SIDE, TRAIN, TEST = 16, 10_000, 3000  # pixels, pictures, pictures
RECIPE = replace(BASE, epochs=2, lr=3e-3, shift=1, amp=fast_bfloat16(best_device("cpu")))


def neighbours(model: ViT, train: Pictures, seed: int) -> None:
    look_at_neighbours(model, seed)


def both(model: ViT, train: Pictures, seed: int) -> None:
    look_at_neighbours(model, seed)
    embed_whitened(model, train.images, seed)


STARTS: dict[str, Callable[[ViT, Pictures, int], None]] = {
    "random": lambda model, train, seed: None,
    "heads look at neighbours": neighbours,
    "and patches are whitened": both,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="CIFAR-10")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    whole = cifar10(given.pictures)
    train, test = (shrunk(part.take(slice(0, number)), SIDE) for part, number in zip(whole, (TRAIN, TEST), strict=True))
    for name, start in STARTS.items():
        percent, seconds = [], []
        for seed in range(given.seeds):
            model = create("vit_cifar_patch4_32", seed=seed, image_size=SIDE)
            begun = time.process_time()
            start(model, train, seed)
            fit(model, train, recipe=replace(RECIPE, seed=seed), progress=False)
            seconds.append(time.process_time() - begun)
            percent.append(100 * evaluate(model, test, amp=RECIPE.amp))
        each = ", ".join(f"{one:.1f}" for one in percent)
        print(f"{name}: {statistics.mean(percent):.1f} % ({each}), {statistics.mean(seconds):.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
