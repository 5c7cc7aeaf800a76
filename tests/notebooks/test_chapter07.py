"""What chapter 7 says of itself, of torch and of the library, is so."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Code, Plain
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.training.finetune import finetune
from vitlib.training.fit import Recipe
from vitlib.training.optim import warm_cosine
from vitlib.training.predict import sliding_window

FOLDER = Path(__file__).parents[2] / "solutions" / "07-train-finetune-infer"
KEY = load_key(FOLDER)


def code(name: str) -> Callable[..., Any]:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise.reference


def everyones(name: str) -> list[tuple[Any, Any]]:
    """The parameters of some variants, and their answers."""
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 5
    some = exercise.variants[:: max(len(exercise.variants) // 20, 1)]
    return [(SimpleNamespace(**variant.parameters), variant.value(variant.answer)) for variant in some]


# what learners write


@given(steps=st.integers(2, 60), warmup=st.integers(0, 59), floor=st.floats(0, 0.9))
def test_the_plan_that_learners_write_is_the_librarys(steps: int, warmup: int, floor: float) -> None:
    warmup = min(warmup, steps - 1)
    for step in range(steps):
        mine = code("learning-rate")(step, steps, warmup, 0.3, 0.3 * floor)
        assert mine == pytest.approx(0.3 * warm_cosine(step, steps, warmup, floor))


@given(classes=st.integers(2, 12), smoothing=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_targets_that_learners_write_are_torchs_label_smoothing(classes: int, smoothing: float, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    logits, labels = torch.randn(5, classes, generator=dice), torch.randint(classes, (5,), generator=dice)
    mine = F.cross_entropy(logits, code("smooth-targets")(labels, classes, smoothing))
    assert torch.allclose(mine, F.cross_entropy(logits, labels, label_smoothing=smoothing), atol=1e-5)


@given(classes=st.integers(2, 5), steps=st.integers(0, 5), rate=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_the_loop_that_learners_write_is_plain_gradient_descent(
    classes: int, steps: int, rate: float, seed: int
) -> None:
    dice = torch.Generator().manual_seed(seed)
    features, labels = torch.randn(7, 3, generator=dice), torch.randint(classes, (7,), generator=dice)
    head = torch.nn.Linear(3, classes)
    with torch.no_grad():
        head.weight.zero_(), head.bias.zero_()
    sgd = torch.optim.SGD(head.parameters(), lr=rate)
    for _ in range(steps):
        sgd.zero_grad()
        F.cross_entropy(head(features), labels).backward()
        sgd.step()
    weight, bias = code("train-head")(features, labels, classes, steps, rate)
    assert torch.allclose(weight, head.weight, atol=1e-5) and torch.allclose(bias, head.bias, atol=1e-5)


@given(size=st.integers(1, 200), window=st.integers(1, 200), stride=st.integers(1, 200))
def test_the_windows_that_learners_place_cover_every_pixel(size: int, window: int, stride: int) -> None:
    window = min(window, size)
    stride = min(stride, window)
    starts = code("window-starts")(size, window, stride)
    covered = {pixel for start in starts for pixel in range(start, start + window)}
    assert covered == {*range(size)}
    assert starts == sorted({*starts}) and all(b - a <= stride for a, b in pairwise(starts))


# what learners count


def test_a_model_that_guesses_pays_what_everyone_says() -> None:
    for it, answer in everyones("initial-loss"):
        assert answer == pytest.approx(F.cross_entropy(torch.zeros(1, it.classes), torch.tensor([0])).item(), abs=1e-5)


def test_no_answer_is_cheaper_than_everyones_floor() -> None:
    for it, answer in everyones("smoothed-floor"):
        target = code("smooth-targets")(torch.tensor([0]), it.classes, it.percent / 100).double()
        at_best = F.cross_entropy(target.log(), target).item()
        assert answer == pytest.approx(at_best, abs=1e-4)
        surer = F.cross_entropy(2 * target.log(), target).item()
        assert surer > at_best


def test_as_many_windows_as_everyone_counts_are_looked_at() -> None:
    for it, answer in everyones("window-count"):
        seen = []

        def model(windows: torch.Tensor, seen: list[int] = seen) -> torch.Tensor:
            seen.append(len(windows))
            return windows

        # a pixel stands for eight of them, or sixteen: the sums are the same
        unit = math.gcd(it.height, it.width, it.window, it.stride)
        height, width, window, stride = (side // unit for side in (it.height, it.width, it.window, it.stride))
        sliding_window(model, torch.zeros(1, height, width), window=window, stride=stride)
        assert sum(seen) == answer


# what the text says


def test_frozen_features_leave_the_head_to_learn() -> None:
    base = create("vit_cifar_patch4_32", pretrained=True)
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = Pictures(pixels, torch.tensor([0, 1, 0, 1]), ("face", "background"))
    tuned, _ = finetune(base, pictures, recipe=Recipe(epochs=1, batch_size=4), blocks=0, progress=False)
    before = dict(base.named_parameters())
    learned = {name: each for name, each in tuned.named_parameters() if not torch.equal(each, before[name])}
    assert {*learned} == {"head.weight", "head.bias"}
    assert sum(each.numel() for each in learned.values()) == 386  # as the text prints


def test_no_grad_leaves_dropout_on() -> None:
    model = create("vit_digits_patch2_8", dropout=0.5, seed=0).train()
    pixels = torch.ones(2, 1, 8, 8)
    with torch.no_grad():
        assert not torch.equal(model(pixels), model(pixels))
        model.eval()
        assert torch.equal(model(pixels), model(pixels))
