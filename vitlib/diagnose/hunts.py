"""SPOILER: the faults of chapter 9's hunts. Come back when you have found yours.

Each fault breaks what one docstring of the training script (script.py) promises, and is small and realistic.
"""

import hashlib
import random
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitlib.data.pictures import Pictures
from vitlib.diagnose.mistakes import infect
from vitlib.diagnose.script import Script
from vitlib.vit.model import ViT
from vitlib.vit.wrappers import in_mode


class WrongLabels(Script):
    """A third of the training pictures have the label of another picture."""

    def split(self) -> tuple[Pictures, Pictures]:
        train, test = super().split()
        labels = train.labels.clone()
        labels[::3] = labels[::3].roll(1)
        return replace(train, labels=labels), test


class Leak(Script):
    """Half of the test pictures are also training pictures."""

    def split(self) -> tuple[Pictures, Pictures]:
        train, test = super().split()
        known = test.take(slice(0, None, 2))
        images, labels = torch.cat([train.images, known.images]), torch.cat([train.labels, known.labels])
        return Pictures(images, labels, train.classes), test


class OtherPixels(Script):
    """In evaluation, pixels go from 0 to 1 instead of −1 to 1."""

    def prepare(self, images: Tensor, training: bool) -> Tensor:
        return super().prepare(images, training) if training else images / 255


class NoPositions(Script):
    """Positions are not added."""

    def build(self, seed: int = 0) -> nn.Module:
        model = super().build(seed)
        assert isinstance(model, ViT)
        sick = infect(model, "positions")
        sick.__class__ = type("ViT", (type(sick),), {})  # so that print(model) does not show the fault
        return sick


class Probabilities(Script):
    """The model ends with a softmax, although cross-entropy applies one itself."""

    def build(self, seed: int = 0) -> nn.Module:
        model = super().build(seed)
        model.register_forward_hook(lambda module, given, logits: logits.softmax(dim=1))
        return model


class HeadAlone(Script):
    """The optimizer has the parameters of the head only."""

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        assert isinstance(model, ViT)
        return torch.optim.AdamW(model.head.parameters(), lr=1e-2)


class Pile(Script):
    """Gradients are never set to zero, so they add up."""

    def step(self, model: nn.Module, optimizer: torch.optim.Optimizer, pixels: Tensor, labels: Tensor) -> float:
        model.train()
        loss = F.cross_entropy(model(pixels), labels)
        loss.backward()
        optimizer.step()
        return loss.item()


class StillTraining(Script):
    """Dropout stays on in evaluation."""

    @torch.no_grad()
    def accuracy(self, model: nn.Module, pictures: Pictures) -> float:
        with in_mode(model, training=True):
            answers = model(self.prepare(pictures.images, training=False)).argmax(dim=1)
        return (answers == pictures.labels).float().mean().item()


class AlwaysTheSame(Script):
    """The accuracy is always that of the training pictures."""

    def accuracy(self, model: nn.Module, pictures: Pictures) -> float:
        return super().accuracy(model, self.split()[0])


FAULTS: dict[int, type[Script]] = {  # as chapter 9 numbers them
    1: WrongLabels,
    2: Leak,
    3: OtherPixels,
    4: NoPositions,
    5: Probabilities,
    6: HeadAlone,
    7: Pile,
    8: StillTraining,
    9: AlwaysTheSame,
}
GROUPS = ((1, 2, 3), (4, 5), (6, 7), (8, 9))  # data, model, loop, evaluation: a case has at most one fault of each


def faults(case: int) -> tuple[int, ...]:
    """The numbers of a case's faults: none in case 0, one in 1…99, two in 100…199, one to three above.

    >>> faults(0), len(faults(7)), len(faults(107))
    ((), 1, 2)

    Errors: ValueError for a negative case.
    """
    if case < 0:
        raise ValueError(f"there is no case {case}: expected 0 or more")
    generator = random.Random(hashlib.sha256(f"hunt {case}".encode()).digest())
    count = min(case, 1) if case < 100 else 2 if case < 200 else generator.randint(1, 3)
    return tuple(sorted(generator.choice(group) for group in generator.sample(GROUPS, count)))


def hunt(case: int) -> Script:
    """The training script of chapter 9 with the faults of this case; case 0 has none.

    >>> train, test = hunt(0).split()
    >>> len(train), len(test)
    (1347, 450)

    Errors: ValueError for a negative case.
    """
    return type("Script", tuple(FAULTS[number] for number in faults(case)) or (Script,), {})()
