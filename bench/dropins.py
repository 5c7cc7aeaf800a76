"""Cheaper attention in the model that comes with vitlib, as it is: how much faster, and what it costs in accuracy.

    python bench/dropins.py PICTURES          CIFAR-10: the official archive, its folder, or an .npz of JPEG files

Nothing is trained again. Times are for the pictures' own size (8 × 8 patches) and for pictures four times as high and
wide (32 × 32 patches), where attention is what costs; a ratio is the median over the rounds of the plain model's time
over the copy's in the same round: above 1, the copy is faster. As for bench/models.py, one thread measures best.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vitlib.backbones.pooled_attention import with_pooled_keys
from vitlib.backbones.token_merging import MergedViT
from vitlib.backbones.windowed_attention import with_windows
from vitlib.data.datasets import cifar10
from vitlib.models import create
from vitlib.training.predict import predict
from vitlib.vit.model import ViT

NAME, SIDES, BATCHES = "vit_cifar_patch4_32", (32, 128), (32, 2)  # pixels; pictures in a batch
# for each: a copy of the model for pictures of `side` pixels
COPIES: dict[str, Callable[[ViT], Any]] = {
    "plain": lambda vit: vit,
    "windows of 4 × 4": lambda vit: with_windows(vit, 4),
    "keys of 2 × 2": lambda vit: with_pooled_keys(vit, 2),
    "keys of 4 × 4": lambda vit: with_pooled_keys(vit, 4),
    "a 16th merged in each block": lambda vit: MergedViT(vit, vit.config.grid.tokens // 16),
    "an 8th merged in each block": lambda vit: MergedViT(vit, vit.config.grid.tokens // 8),
}


def ratios(side: int, batch: int, rounds: int) -> dict[str, float]:
    """The plain model's time over each copy's, on the CPU's clock; two rounds before the count warm up."""
    vit = create(NAME, pretrained=True, image_size=side)
    models = {name: make(vit) for name, make in COPIES.items()}
    images = torch.randn(batch, 3, side, side)
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(-2, rounds):
        for name in random.sample(list(models), len(models)):
            start = time.process_time()
            with torch.inference_mode():
                models[name](images)
            if number >= 0:
                times[name].append(time.process_time() - start)
    each = {name: zip(times["plain"], mine, strict=True) for name, mine in times.items()}
    return {name: statistics.median(plain / mine for plain, mine in pairs) for name, pairs in each.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="?", help="CIFAR-10; without it nothing is measured")
    parser.add_argument("--count", type=int, default=2000, help="test pictures")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    if args.pictures is None:
        print("not run: it needs CIFAR-10. Name its archive, its folder, or an .npz of JPEG files")
        return
    test = cifar10(args.pictures)[1]
    images, labels = test.images[: args.count], test.labels[: args.count]
    vit = create(NAME, pretrained=True)
    faster = [ratios(side, batch, args.rounds) for side, batch in zip(SIDES, BATCHES, strict=True)]
    print(
        f"accuracy on {len(images)} test pictures; medians of {args.rounds} rounds, {torch.get_num_threads()} threads\n"
    )
    print("| attention | accuracy | " + " | ".join(f"faster at {side} px" for side in SIDES) + " |")
    print("|" + "---|" * (2 + len(SIDES)))
    for name, make in COPIES.items():
        right = (predict(make(vit), images).argmax(dim=1) == labels).float().mean().item()
        print(f"| {name} | {right:.1%} | " + " | ".join(f"{each[name]:.2f}×" for each in faster) + " |", flush=True)


if __name__ == "__main__":
    main()
