"""The chart of each patient: train the model for a second, run it, and record what is measured."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures
from vitlib.diagnose import Report, examine
from vitlib.diagnose.mistakes import BATCH
from vitlib.diagnose.patients import PATIENTS, Patient, grey
from vitlib.training.steps import steps
from vitlib.vit.model import ViT
from vitlib.vit.patches import patchify, unpatchify
from vitlib.vit.wrappers import in_mode


@dataclass(frozen=True, eq=False)
class Chart:
    """The measurements of a patient, as anybody can take them without reading its code."""

    name: str
    patient: Patient
    model: ViT  # trained
    first: ViT  # as it was before the first step
    losses: list[float]  # step by step, from the patient's own loss
    train_accuracy: float  # 0…1, on training pictures, prepared as in training
    test_accuracy: float  # 0…1, on test pictures, prepared in the patient's own way
    same_again: float  # 0…1: the share of test pictures to which a second pass gives the same class
    same_reversed: float  # 0…1: the share that get the same class when the pictures come in reverse order
    logit_change: float  # largest change of a logit when patches change places, in standard deviations of the logits
    parameters: int

    @cached_property
    def report(self) -> Report:
        """What `examine` finds in the trained model, as it is used."""
        train, test = known_digits()
        patient, model = self.patient, self.first if self.patient.pretrained else self.model
        with in_mode(model, training=not patient.testing):
            return examine(
                model,
                train.take(slice(0, 32)),
                prepare=patient.asked,
                test=patient.test(test),
                criterion=patient.criterion,
                pretrained=True,
            )

    @cached_property
    def rate(self) -> Report:
        """What `examine` finds in the untrained model: can it memorise one batch at the patient's learning rate?"""
        return _rate(self.first, self.patient.lr)

    @property
    def alarms(self) -> list[str]:
        """The names of the questions that raised an alarm."""
        found = [each.check for each in self.report.alarms]
        return found + [each.check for each in self.rate.alarms if each.check == "one batch"]


@cache
def chart(name: str) -> Chart:
    """The chart of one of PATIENTS. The first call takes about a second; the result is cached.

    >>> chart("healthy").test_accuracy > 0.8
    True

    Errors: KeyError for an unknown patient; the message names all.
    """
    if name not in PATIENTS:
        raise KeyError(f"no patient is called {name!r}; there are {', '.join(PATIENTS)}")
    patient = PATIENTS[name]
    train, test = known_digits()
    first, model, losses = _trained(patient.build, patient.lr, patient.epochs, patient.criterion, patient.pretrained)
    test = patient.test(test)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        answers = _classes(model, patient, train.images[:256], asked=grey)
        once = _classes(model, patient, test.images)
        again = _classes(model, patient, test.images)
        turned = _classes(model, patient, test.images.flip(0)).flip(0)
    return Chart(
        name,
        patient,
        model,
        first,
        losses,
        _share(answers == train.labels[:256]),
        _share(once == test.labels),
        _share(once == again),
        _share(once == turned),
        _moved(model, grey(test.images[:BATCH])),
        sum(each.numel() for each in model.parameters()),
    )


def bed(number: int) -> Chart:
    """The chart of the patient in bed 1, 2, …; unlike its name, the number does not give the fault away.

    >>> bed(1).name
    'healthy'

    Errors: KeyError for a bed that does not exist.
    """
    if not 1 <= number <= len(PATIENTS):
        raise KeyError(f"there is no bed {number!r}: expected 1 to {len(PATIENTS)}")
    return chart([*PATIENTS][number - 1])


def charts(names: Iterable[str] = tuple(PATIENTS), progress: bool = True) -> dict[str, Chart]:
    """The charts of several patients, with a progress bar for the first time, which takes seconds."""
    names = list(names)
    missing = chart.cache_info().currsize < len(PATIENTS)
    bar = tqdm(names, desc="ward round", disable=not (progress and missing), delay=1, leave=False)
    return {name: chart(name) for name in bar}


@cache
def _rate(first: ViT, lr: float) -> Report:
    return examine(first, known_digits()[0].take(slice(0, 8)), lr=lr)


@cache
def known_digits() -> tuple[Pictures, Pictures]:
    """The training and test digits; the file is read once."""
    return digits()


@cache  # three patients are trained like the healthy one, and only tested in another way
def _trained(
    build: Callable[[], ViT], lr: float, epochs: int, criterion: Callable[[Tensor, Tensor], Tensor], pretrained: bool
) -> tuple[ViT, ViT, list[float]]:
    """The model before and after training by AdamW with a one-cycle schedule, and the loss of every step."""
    model = build()
    if pretrained:  # the fault: no name fits, and strict=False hides it
        found = {f"module.{key}": each for key, each in chart("healthy").model.state_dict().items()}
        model.load_state_dict(found, strict=False)
    first = copy.deepcopy(model)
    train, _ = known_digits()
    pixels, per_epoch = grey(train.images), len(train) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05, fused=True)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * per_epoch, pct_start=0.2)
    generator, losses = torch.Generator().manual_seed(0), []

    def loss_of(chosen: Tensor) -> tuple[Tensor, Tensor]:
        logits, labels = model(pixels[chosen]), train.labels[chosen]
        return criterion(logits, labels), (logits.argmax(dim=1) == labels).float().mean()

    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for dropout
        for _ in range(epochs):
            order = torch.randperm(len(train), generator=generator).split(BATCH)[:per_epoch]
            losses += [step.loss for step in steps(model, order, loss_of, [optimizer], [plan])]
    return first, model.eval(), losses


@torch.no_grad()
def _classes(model: ViT, patient: Patient, images: Tensor, asked: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """The predicted class of each picture, in the mode in which the patient is used, in batches as in training."""
    with in_mode(model, training=not patient.testing):
        return torch.cat([model((asked or patient.asked)(part)) for part in images.split(BATCH)]).argmax(dim=1)


@torch.no_grad()
def _moved(model: ViT, pixels: Tensor) -> float:
    """Largest change of a logit when the patches of all pictures are permuted alike, in standard deviations."""
    grid = model.config.grid
    order = torch.arange(grid.tokens).roll(1)
    other = unpatchify(patchify(pixels, grid.patch_height)[:, order], grid, pixels.shape[1])
    before, after = model(pixels), model(other)
    return ((after - before).abs().max() / before.std()).item()


def _share(right: Tensor) -> float:
    return right.double().mean().item()


def smoothed(losses: list[float], window: int = 5) -> list[float]:
    """The moving average of the losses over the last `window` steps.

    >>> smoothed([4.0, 2.0, 0.0], window=2)
    [4.0, 3.0, 1.0]
    """
    means = torch.tensor(losses).cumsum(0)
    before = F.pad(means, (window, 0))[: len(losses)]
    counts = torch.arange(1, len(losses) + 1).clamp(max=window)
    return ((means - before) / counts).tolist()
