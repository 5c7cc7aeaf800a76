"""One training run in small steps: the loop of `fit`, cut up so that a page can be drawn in between."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Literal

import torch
from torch import nn

from vitlib.data.datasets import digits, faces
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.training.batches import batches, loss_on, steps_in_epoch
from vitlib.training.fit import Recipe, evaluate
from vitlib.training.steps import Diverged, Step, steps, train_mode

State = Literal["ready", "running", "paused", "done", "diverged", "failed"]
SEEN = 270  # training pictures, at most, on which the accuracy is measured: as many as there are to validate on


@cache
def _digits() -> tuple[Pictures, Pictures]:
    pool, _ = digits()
    return pool.split(5)


def _few() -> tuple[Pictures, Pictures]:
    train, valid = _digits()
    return train.take(slice(0, 100)), valid


def _faces() -> tuple[Pictures, Pictures]:
    pool, _ = faces()
    return pool.split(2)


# Pictures to train on and to validate on. Who tries settings chooses by what they see: so no test picture is used here.
DATA: dict[str, Callable[[], tuple[Pictures, Pictures]]] = {
    "1077 digits": _digits,
    "100 digits": _few,
    "25 faces, 25 backgrounds": _faces,
}


def small_vit(train: Pictures, seed: int = 0) -> nn.Module:
    """A ViT of two blocks for small grey pictures: patches of 4 × 4 pixels, 32 numbers a token.

    >>> small_vit(digits()[0]).config.grid.tokens
    4
    """
    size = (train.images.shape[2], train.images.shape[3])
    classes = len(train.classes)
    return create("vit_digits_patch2_8", classes, size, seed=seed, patch_size=4, embed_dim=32, depth=2, num_heads=4)


@dataclass
class Run:
    """A run: what was chosen, and what has become of it so far. `advance` takes it a little further.

    >>> run = Run("100 digits", Recipe(epochs=1, batch_size=50, lr=1e-3))
    >>> while run.advance():
    ...     pass
    >>> run.state, len(run.loss), len(run.valid)
    ('done', 2, 1)
    """

    data: str  # one of DATA
    recipe: Recipe
    letter: str = "A"  # what it is called in the picture
    state: State = "ready"
    problem: str = ""  # why it failed, in words
    loss: list[float] = field(default_factory=list)  # of each step
    rate: list[float] = field(default_factory=list)  # learning rate of each step
    train: list[float] = field(default_factory=list)  # after each epoch: accuracy, 0…1, on training pictures, unchanged
    valid: list[float] = field(default_factory=list)  # after each epoch: accuracy, 0…1, on pictures it has not seen
    per_epoch: int = 1  # steps
    classes: int = 10

    @property
    def over(self) -> bool:
        """Whether no step will come any more."""
        return self.state in ("done", "diverged", "failed")

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.valid)

    @property
    def guessing(self) -> float:
        """ln K, the loss of a model that gives each class the same probability."""
        return math.log(self.classes)

    def advance(self) -> bool:
        """One step, or the accuracies after an epoch; whether there is more to do. What goes wrong becomes `problem`.

        torch's random state is forked, so that neither the run nor the other cells of a notebook affect each other.
        """
        if self.over:
            return False
        try:
            with torch.enable_grad(), torch.random.fork_rng(devices=[]):
                more = next(self._work, None) is not None
        except Exception as error:  # whatever it is: it is shown to the learner, and the page stays
            self.state, self.problem = "failed", f"{type(error).__name__}: {error}"
            return False
        if not more and not self.over:
            self.state = "done"
        return more

    @cached_property
    def _work(self) -> Iterator[bool]:
        return self._steps()

    def _steps(self) -> Iterator[bool]:
        """What `fit` does, with a `yield` behind each step: the same weights, to the last bit."""
        recipe = self.recipe
        train, valid = DATA[self.data]()
        self.model = model = small_vit(train, recipe.seed)
        train = train.to(next(model.parameters()).device)
        self.classes = len(train.classes)
        self.per_epoch = steps_in_epoch(train, recipe)
        optims = recipe.optimizers(model)
        schedules = recipe.schedules(optims, recipe.epochs * self.per_epoch)
        loss_of = loss_on(model, train, recipe)
        for epoch in range(recipe.epochs):
            train_mode(model)
            try:
                for step in steps(model, batches(train, recipe, epoch), loss_of, optims, schedules, recipe.clip):
                    self._note(step)
                    yield True
            except Diverged as error:
                self._note(error.step)
                self.state = "diverged"
                return
            self.train.append(evaluate(model, train.take(slice(0, SEEN))))
            self.valid.append(evaluate(model, valid))
            yield True
        model.eval()

    def _note(self, step: Step) -> None:
        self.loss.append(step.loss)
        self.rate.append(step.lr)
