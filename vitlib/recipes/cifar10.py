"""CIFAR-10 from scratch on a CPU: `python -m vitlib.recipes.cifar10 PICTURES FOLDER`.

PICTURES is the official archive, its folder, or an .npz of JPEG files (vitlib.datasets.cifar10). The run is kept in
FOLDER, and the same command goes on with it; at its end the weights lie there in half precision, beside a card that
says how they were made. These are the weights that come with vitlib.

A step's time grows with the number of tokens, so the model begins on small pictures, where it learns what is coarse,
and ends on whole ones. Between two stages its positions are resized. Source: Howard, 2018 (progressive resizing);
Touvron et al., 2019, "Fixing the train-test resolution discrepancy".
"""

import argparse
import copy
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from vitlib.datasets import cifar10
from vitlib.device import best_device
from vitlib.pictures import Pictures
from vitlib.presets import create
from vitlib.train import Recipe, evaluate, fit
from vitlib.weights import save

NAME = "vit_cifar_patch4_32"
BASE: dict[str, Any] = {"optimizer": "muon", "warmup": 0.05, "flip": True, "amp": True}
STAGES = {  # by the pictures' side in pixels
    16: Recipe(epochs=7, batch=256, lr=3e-3, floor=0.6, shift=1, **BASE),  # 16 tokens and CLS
    24: Recipe(epochs=2, batch=256, lr=2e-3, floor=0.6, shift=2, **BASE),  # 36 tokens and CLS
    32: Recipe(epochs=2, batch=256, lr=1.5e-3, shift=3, **BASE),  # 64 tokens and CLS
}


def shrunk(pictures: Pictures, side: int) -> Pictures:
    """The same pictures, `side` pixels high and wide: each new pixel is the mean of what it covers."""
    parts = [
        F.interpolate(part.float(), size=(side, side), mode="area").round().to(torch.uint8)
        for part in pictures.images.split(5000)
    ]
    return Pictures(torch.cat(parts), pictures.labels, pictures.classes)


def run(source: Path, folder: Path, seed: int = 0, progress: bool = True) -> dict[str, Any]:
    """Train, write weights and card into `folder`, and return the card."""
    train, test = cifar10(source)
    folder.mkdir(parents=True, exist_ok=True)
    model = create(NAME, seed=seed, image_size=min(STAGES)).to(best_device())
    stages: list[dict[str, Any]] = []
    for side, recipe in STAGES.items():
        model = model.resized((side, side))
        kept = folder / f"{side}.safetensors"
        history = fit(model, shrunk(train, side), shrunk(test, side), recipe, save=kept, progress=progress)
        stages.append({"side": side, "recipe": asdict(recipe), "history": asdict(history)})
        print(f"{side} × {side} pixels\n{history}", flush=True)
    half = copy.deepcopy(model).half()
    save(half, folder / f"{NAME}.safetensors")
    card = {
        "model": NAME,
        "data": "CIFAR-10, its pictures as JPEG files" if source.suffix == ".npz" else "CIFAR-10",
        "test_accuracy": evaluate(half.float(), test),
        "seed": seed,
        "seconds": round(sum(sum(stage["history"]["seconds"]) for stage in stages)),
        "hardware": f"{torch.get_num_threads()} threads, {platform.processor() or platform.machine()}",
        "torch": torch.__version__,
        "mean": list(model.config.mean),
        "std": list(model.config.std),
        "classes": list(train.classes),
        "stages": stages,
    }
    (folder / f"{NAME}.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a small ViT on CIFAR-10.")
    parser.add_argument("source", type=Path, metavar="PICTURES", help="archive, folder, or .npz of JPEG files")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the run and the weights are kept")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    card = run(given.source, given.folder, given.seed)
    print(f"test accuracy {card['test_accuracy']:.2%} after {card['seconds']} seconds")
