"""What pretraining without labels is worth, on handwritten digits: `python -m vitlib.recipes.pretraining`.

A small ViT is pretrained on digits without labels: it fills in hidden patches (masked.py), or tells which two views
show the same digit (contrastive.py). Then 1, 5, 10 and 50 digits of each class get their labels, and three ways to use
them are compared on the test digits: from scratch, a linear probe on frozen features, and full fine-tuning; beside them
a linear probe on the bare pixels, and on the features of a model that learned nothing. Five seeds; each has its own
pretraining and its own draw of labels. Some seven minutes on two idle cores.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures, normalisation, normalise
from vitlib.device import random_state_kept
from vitlib.models import create
from vitlib.recipes import stored
from vitlib.recipes.contrastive import Contrastive
from vitlib.recipes.masked import MaskedAutoencoder
from vitlib.training import augment
from vitlib.training.batches import batches, steps_in_epoch
from vitlib.training.fit import Recipe, evaluate, fit
from vitlib.training.predict import predict
from vitlib.training.steps import steps
from vitlib.vit.model import ViT

PRETRAIN = Recipe(epochs=120, batch_size=128, lr=3e-3, shift=1)
CONTRAST = replace(PRETRAIN, epochs=40)  # takes about as long: two views of each picture, and no patch is left out
NUMBERS, SEEDS = (1, 5, 10, 50), 5  # labels of each class
RATE, STEPS = 3e-3, 600  # of training with labels, however many there are


def fresh(seed: int = 0) -> ViT:
    """16 patches of 2 × 2 pixels, two blocks, D = 48, read by their mean: there is no CLS token."""
    choices = {"depth": 2, "class_token": False, "global_pool": "avg", "norm_before_pool": True}
    return create("vit_digits_patch2_8", seed=seed, **choices)


def pretrain(
    whole: nn.Module, loss_of: Callable[[Tensor], Tensor], pictures: Pictures, recipe: Recipe = PRETRAIN
) -> list[float]:
    """Train a model on pictures, whose labels nobody looks at, and return the mean loss of each epoch.

    `loss_of` gives the loss for a batch of them, as bytes, where the model lies.
    """
    pictures = pictures.to(next(whole.parameters()).device)
    optims = recipe.optimizers(whole)
    schedules = recipe.schedules(optims, recipe.epochs * steps_in_epoch(pictures, recipe))

    def asked(chosen: Tensor) -> tuple[Tensor, Tensor]:
        return loss_of(pictures.images[chosen]), torch.zeros(())  # nothing is right or wrong here

    losses = []
    with random_state_kept(pictures.images.device):
        whole.train()
        for epoch in range(recipe.epochs):
            seen = steps(whole, batches(pictures, recipe, epoch), asked, optims, schedules, recipe.clip)
            losses.append(mean(step.loss for step in seen))
    whole.eval()
    return losses


def masked(seed: int, pictures: Pictures, recipe: Recipe = PRETRAIN) -> tuple[MaskedAutoencoder, list[float]]:
    """A masked autoencoder around a fresh model, pretrained; its `vit` is what remains. Three quarters are hidden."""
    whole = MaskedAutoencoder(fresh(seed), hidden=0.75, width=32, seed=seed)

    def loss_of(images: Tensor) -> Tensor:
        return whole(normalise(augment.shift(images, recipe.shift), *normalisation(whole.vit)))[0]

    return whole, pretrain(whole, loss_of, pictures, replace(recipe, seed=seed))


def contrastive(seed: int, pictures: Pictures, recipe: Recipe = CONTRAST) -> tuple[Contrastive, list[float]]:
    """A fresh model, pretrained to tell which views show the same picture; a view is the picture, moved at random."""
    whole = Contrastive(fresh(seed), seed=seed)

    def view(images: Tensor) -> Tensor:
        return normalise(augment.shift(images, recipe.shift), *normalisation(whole.vit))

    return whole, pretrain(
        whole, lambda images: whole(view(images), view(images)), pictures, replace(recipe, seed=seed)
    )


def draw(pictures: Pictures, number: int, seed: int) -> Int64[Tensor, "n"]:
    """The places of so many pictures of each class."""
    generator = torch.Generator().manual_seed(seed)
    places = [(pictures.labels == label).nonzero()[:, 0] for label in range(len(pictures.classes))]
    return torch.cat([each[torch.randperm(len(each), generator=generator)[:number]] for each in places])


def features(model: ViT, pictures: Pictures) -> Float[Tensor, "N D"]:
    """What the model's classifier would read."""
    bare = copy.deepcopy(model)
    bare.reset_classifier(0)
    return predict(bare, pictures.images, batch_size=512)


def probe(known: Tensor, labels: Tensor, asked: Tensor, classes: int, decay: float = 1e-2) -> Int64[Tensor, "M"]:
    """The classes that a linear classifier names for `asked` [M, D]: trained on `known` [n, D], to the end."""
    shift, scale = known.mean(dim=0), known.std(dim=0) + 1e-6
    known, asked = (known - shift) / scale, (asked - shift) / scale
    head = nn.Linear(known.shape[1], classes)
    nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = F.cross_entropy(head(known), labels) + decay * head.weight.square().sum()
        value.backward()
        return value.item()

    optimizer.step(loss)
    return head(asked).argmax(dim=1)


def trained(start: ViT, some: Pictures, seed: int, length: int = STEPS) -> ViT:
    """A copy of the model with a new head, all of it trained on the labelled pictures."""
    model = copy.deepcopy(start)
    model.reset_classifier(len(some.classes), torch.Generator().manual_seed(seed))
    batch = min(50, len(some))
    epochs = max(1, length * batch // len(some))
    fit(model, some, recipe=Recipe(epochs=epochs, batch_size=batch, lr=RATE, shift=1, seed=seed), progress=False)
    return model


Method = Callable[[int, Pictures, Recipe], tuple[Any, list[float]]]
METHODS: dict[str, tuple[Method, Recipe]] = {"masked": (masked, PRETRAIN), "contrastive": (contrastive, CONTRAST)}


def compare(
    methods: dict[str, tuple[Method, Recipe]] = METHODS,
    numbers: tuple[int, ...] = NUMBERS,
    seeds: int = SEEDS,
    length: int = STEPS,
) -> dict[str, Any]:
    """Test accuracies by way and by number of labels a class, a number for each seed."""
    pool, test = digits()
    train, _ = pool.split(5)  # the chapter's: its validation digits are left out
    starts: dict[str, list[ViT]] = {"scratch": [fresh(seed) for seed in range(seeds)]}
    for name, (method, recipe) in methods.items():
        starts[name] = []
        for seed in range(seeds):
            whole, losses = method(seed, train, recipe)
            starts[name].append(whole.vit)
            print(f"{name}, seed {seed}: loss {losses[0]:.2f} → {losses[-1]:.2f}", flush=True)

    ways: dict[str, dict[str, list[float]]] = {}
    seen = {"pixels": [[part.images.flatten(1).float() / 255 for part in (train, test)]] * seeds}
    for name, models in starts.items():
        seen["untrained" if name == "scratch" else name] = _seen(models, train, test)
    for name, tables in seen.items():
        ways[f"{name}, probe"] = {str(number): _probed(tables, train, test, number) for number in numbers}
        print(_line(f"{name}, probe", ways), flush=True)

    for name, models in starts.items():
        words = "scratch" if name == "scratch" else f"{name}, full"
        ways[words] = {str(number): _tuned(models, train, test, number, length) for number in numbers}
        print(_line(words, ways), flush=True)
    pretraining = {
        name: {"digits": len(train), "epochs": recipe.epochs, "batch_size": recipe.batch_size, "lr": recipe.lr}
        for name, (_, recipe) in methods.items()
    }
    return {"seeds": seeds, "test pictures": len(test), "pretraining": pretraining, "steps": length, "ways": ways}


def _seen(models: list[ViT], train: Pictures, test: Pictures) -> list[list[Tensor]]:
    return [[features(model, part) for part in (train, test)] for model in models]


def _probed(tables: list[list[Tensor]], train: Pictures, test: Pictures, number: int) -> list[float]:
    shares = []
    for seed, (known, asked) in enumerate(tables):
        some = draw(train, number, seed)
        said = probe(known[some], train.labels[some], asked, len(train.classes))
        shares.append((said == test.labels).float().mean().item())
    return shares


def _tuned(models: list[ViT], train: Pictures, test: Pictures, number: int, length: int) -> list[float]:
    some = [train.take(draw(train, number, seed)) for seed in range(len(models))]
    return [evaluate(trained(model, some[seed], seed, length), test) for seed, model in enumerate(models)]


def results() -> dict[str, Any]:
    """What `compare` found when the recipe was last run."""
    return stored.read("pretraining")


def table(found: dict[str, Any]) -> str:
    """A line for each way: per cent of the test digits right, mean and spread, by number of labels a class."""
    ways = found["ways"]
    numbers = [*next(iter(ways.values()))]
    lines = [f"{'labels a class':18}" + "".join(f"{number:>14}" for number in numbers)]
    return "\n".join([*lines, *(_line(words, ways) for words in ways)])


def _line(words: str, ways: dict[str, dict[str, list[float]]]) -> str:
    return f"{words:18}" + "".join(f"{stored.with_spread(each):>14}" for each in ways[words].values())


if __name__ == "__main__":
    print(stored.write("pretraining", compare()))
