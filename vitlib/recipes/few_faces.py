"""Faces and backgrounds, with 2, 8 or 32 labels of each: `python -m vitlib.recipes.few_faces`.

The CIFAR-10 model that comes with vitlib, fine-tuned as a whole, against a small model that starts from scratch;
chapter 7 puts a head on frozen features beside them. Five draws of the labels; about a minute on two idle cores.
"""

from dataclasses import replace
from typing import Any

from vitlib.data.datasets import faces
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.recipes import stored
from vitlib.recipes.pretraining import draw
from vitlib.training.finetune import FINETUNE, finetune
from vitlib.training.fit import Recipe, evaluate, fit
from vitlib.vit.model import ViT

NUMBERS, SEEDS = (2, 8, 32), 5  # labels of each class; draws
SMALL = {"patch_size": 4, "depth": 2, "embed_dim": 32, "num_heads": 4}  # a model as large as the other does worse


def pictures() -> tuple[Pictures, Pictures]:
    """Grey pictures, to learn from and new ones, repeated for the three channels that the pretrained model reads."""
    known, new = (Pictures(each.images.expand(-1, 3, -1, -1), each.labels, each.classes) for each in faces())
    return known, new


def full(base: ViT, some: Pictures, seed: int, steps: int = 12) -> ViT:
    """The pretrained model, all of it trained on these pictures for so many steps."""
    batch = min(16, len(some))
    epochs = max(1, steps * batch // len(some))
    return finetune(base, some, recipe=replace(FINETUNE, epochs=epochs, batch_size=batch, seed=seed), progress=False)[0]


def scratch(some: Pictures, seed: int, epochs: int = 15) -> ViT:
    """A fresh small model, trained on these pictures."""
    model: ViT = create("vit_digits_patch2_8", len(some.classes), 24, in_chans=3, seed=seed, **SMALL)
    fit(model, some, recipe=Recipe(epochs=epochs, batch_size=min(16, len(some)), lr=3e-3, seed=seed), progress=False)
    return model


def compare(numbers: tuple[int, ...] = NUMBERS, seeds: int = SEEDS, steps: int = 12) -> dict[str, Any]:
    """Accuracies on new pictures by way and by number of labels of each class, a number for each draw."""
    base = create("vit_cifar_patch4_32", pretrained=True)
    known, new = pictures()
    ways: dict[str, dict[str, list[float]]] = {"full": {}, "from scratch": {}}
    for number in numbers:
        drawn = [known.take(draw(known, number, seed)) for seed in range(seeds)]
        ways["full"][str(number)] = [evaluate(full(base, some, i, steps), new) for i, some in enumerate(drawn)]
        ways["from scratch"][str(number)] = [evaluate(scratch(some, i), new) for i, some in enumerate(drawn)]
    return {"seeds": seeds, "test pictures": len(new), "steps": steps, "ways": ways}


def results() -> dict[str, Any]:
    """What `compare` found when the recipe was last run."""
    return stored.read("few_faces")


if __name__ == "__main__":
    print(stored.write("few_faces", compare()))
