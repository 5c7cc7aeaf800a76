"""CIFAR-10 from scratch: `python -m vitlib.recipes.cifar10 PICTURES FOLDER`.

PICTURES is the official archive, its folder, or an .npz of JPEG files (vitlib.data.datasets). The run is kept in
FOLDER, and the same command goes on with it; at its end the weights lie there in half precision, beside a card that
says how they were made. The weights that come with vitlib have a card of their own, in vitlib/trained.

A teacher is trained first, a small convolutional network (teacher.py); the model starts from random weights, and
learns from labels, and in the end from the teacher's answers as well.

Three plans: the short one is for a CPU and an hour, "night" for a few hours, and the long one is for a CUDA device and
a few minutes there. The weights that come with vitlib are those of "night". A step takes longer the more tokens there
are, so the plans for a CPU begin on small pictures, where the model learns what is coarse, and end on whole ones.
Between two stages its positions are resized.
Sources: Howard, 2018 (progressive resizing); Touvron et al., 2019, "Fixing the train-test resolution discrepancy".
"""

import argparse
import copy
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from vitlib.data.datasets import cifar10
from vitlib.data.pictures import Pictures
from vitlib.device import best_device, fast_bfloat16
from vitlib.models import create
from vitlib.recipes.teacher import Teacher
from vitlib.training.fit import Recipe, evaluate, fit
from vitlib.weights import files, save


@dataclass(frozen=True)
class Stage:
    """A part of the training, on pictures of one size."""

    side: int  # pixels
    recipe: Recipe
    taught: bool = False  # whether half of what is learned is the teacher's answers: it knows whole pictures only


@dataclass(frozen=True)
class Plan:
    """A model, the stages in which it learns, and its teacher."""

    model: str  # its preset
    stages: tuple[Stage, ...]
    teacher: Recipe
    widths: tuple[int, ...] = (64, 128, 128)  # channels of the teacher's blocks
    changes: Mapping[str, Any] = field(default_factory=dict)  # fields of the model's configuration


BASE = Recipe(optimizer="muon", batch_size=256, warmup=0.05, flip=True, amp=True)
TEACHER = replace(BASE, epochs=6, batch_size=500, lr=1e-2, warmup=0.1, shift=2)
HOUR = (
    Stage(16, replace(BASE, epochs=7, lr=3e-3, floor=0.6, shift=1)),  # 16 tokens and CLS
    Stage(24, replace(BASE, epochs=2, lr=2e-3, floor=0.6, shift=2)),  # 36 tokens and CLS
    Stage(32, replace(BASE, epochs=2, lr=1.5e-3, shift=3)),  # 64 tokens and CLS
    Stage(32, replace(BASE, epochs=1, lr=1e-3, shift=3, label_smoothing=0.0), taught=True),
)
# It soon knows whole pictures by heart. Cut into one another they stay new, and the teacher knows what is in them; in
# the end they are turned, moved and coloured anew as well.
CUT = replace(BASE, lr=2e-3, shift=4, cutmix=1.0, label_smoothing=0.0)
NIGHT = (
    Stage(16, replace(BASE, epochs=10, lr=3e-3, floor=0.6, shift=1)),
    Stage(24, replace(BASE, epochs=6, lr=2e-3, floor=0.6, shift=2)),
    Stage(32, replace(CUT, epochs=32), taught=True),
    Stage(32, replace(CUT, epochs=50, randaugment=4), taught=True),
)
PLANS = {
    "short": Plan("vit_cifar_patch4_32", HOUR, TEACHER),
    "night": Plan("vit_cifar_patch4_32", NIGHT, replace(TEACHER, epochs=16, shift=4, erase=8), (64, 256, 256)),
    # A stem of convolutions helps a ViT that sees few pictures (Hassani et al., 2021, "Escaping the big data
    # paradigm"); with so many epochs, mixed pictures keep it from knowing them by heart.
    "long": Plan(
        "vitc_cifar_patch4_32",
        (
            Stage(
                32,
                replace(BASE, epochs=200, batch_size=512, lr=3e-3, shift=4, mixup=0.2, cutmix=1.0, compile=True),
                taught=True,
            ),
        ),
        replace(TEACHER, epochs=30),
        (64, 256, 256),
        {"embed_dim": 256, "num_heads": 4, "depth": 7, "drop_path_rate": 0.1},
    ),
}


def plan_for(device: torch.device) -> str:
    """The plan that a device has the time for."""
    return "long" if device.type == "cuda" else "short"


def shrunk(pictures: Pictures, side: int) -> Pictures:
    """The same pictures, `side` pixels high and wide: each new pixel is the mean of what it covers.

    >>> whole = Pictures(torch.full((2, 3, 32, 32), 7, dtype=torch.uint8), torch.tensor([0, 1]), ("cat", "dog"))
    >>> shrunk(whole, 24).images.shape
    torch.Size([2, 3, 24, 24])
    """
    parts = [
        F.interpolate(part.float(), size=(side, side), mode="area").round().to(torch.uint8)
        for part in pictures.images.split(5000)
    ]
    return Pictures(torch.cat(parts), pictures.labels, pictures.classes)


def run(source: Path, folder: Path, plan: Plan, seed: int = 0, progress: bool = True) -> dict[str, Any]:
    """Train, write weights and card into `folder`, and return the card."""
    device = best_device()
    train, test = (part.to(device) for part in cifar10(source))
    folder.mkdir(parents=True, exist_ok=True)

    def learn(
        model: nn.Module, name: str, side: int, recipe: Recipe, teacher: nn.Module | None = None
    ) -> dict[str, Any]:
        recipe = replace(recipe, seed=seed, amp=recipe.amp and fast_bfloat16(device))
        small, kept = (shrunk(train, side), shrunk(test, side)), folder / f"{name}.safetensors"
        history = fit(model, *small, recipe, teacher=teacher, save=kept, progress=progress)
        print(f"{name}: {side} × {side} pixels\n{history}", flush=True)
        return {"side": side, "recipe": asdict(recipe), "history": asdict(history)}

    teacher = fresh_teacher(train, plan.widths, seed).to(device)
    taught = {"widths": list(plan.widths), **learn(teacher, "teacher", train.images.shape[-1], plan.teacher)}
    model: Any = create(plan.model, seed=seed, image_size=plan.stages[0].side, **plan.changes).to(device)
    stages = []
    for number, stage in enumerate(plan.stages, start=1):
        model = model.resized((stage.side, stage.side))
        told = learn(model, f"stage{number}", stage.side, stage.recipe, teacher if stage.taught else None)
        stages.append(told | {"taught": stage.taught})
    half = copy.deepcopy(model).half()
    save(half, folder / f"{plan.model}.safetensors")
    card = {
        "model": plan.model,
        "changes": dict(plan.changes),
        "data": "CIFAR-10, its pictures as JPEG files" if source.suffix == ".npz" else "CIFAR-10",
        "test_accuracy": evaluate(half.float(), test),
        "seed": seed,
        "seconds": round(sum(sum(part["history"]["seconds"]) for part in [taught, *stages])),
        "hardware": _hardware(device),
        "torch": torch.__version__,
        "mean": list(model.config.mean),
        "std": list(model.config.std),
        "classes": list(train.classes),
        "teacher": taught,
        "stages": stages,
    }
    with files.whole(folder / f"{plan.model}.json") as draft:
        draft.write_text(json.dumps(card, indent=1) + "\n")
    return card


def fresh_teacher(train: Pictures, widths: tuple[int, ...], seed: int) -> Teacher:
    """A teacher that has learned nothing; the same seed gives the same one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Teacher(train.images.cpu(), widths, len(train.classes))


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads, {platform.processor() or platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small model on CIFAR-10.")
    parser.add_argument("source", type=Path, metavar="PICTURES", help="archive, folder, or .npz of JPEG files")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the run and the weights are kept")
    parser.add_argument("--plan", choices=PLANS, default=plan_for(best_device()), help="long on a CUDA device")
    parser.add_argument("--model", metavar="PRESET", help="another preset in the plan's place, such as a plain ViT")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plan = PLANS[given.plan]
    if given.model:
        plan = replace(plan, model=given.model, changes={})
    card = run(given.source, given.folder, plan, given.seed)
    print(f"test accuracy {card['test_accuracy']:.2%} after {card['seconds']} seconds")


if __name__ == "__main__":
    main()
