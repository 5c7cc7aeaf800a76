"""What chapter 7 says of itself, of torch and of the library, is so."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autograde.authoring.key import load_key
from autograde.exercises import Code, Plain
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.plotting import Figure
from vitlib.recipes import moved
from vitlib.recipes.masked import MaskedAutoencoder
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


@given(groups=st.lists(st.integers(0, 6), min_size=1, max_size=20), held=st.sets(st.integers(0, 8), max_size=6))
def test_no_group_lies_on_both_sides_of_the_split_that_learners_write(groups: list[int], held: set[int]) -> None:
    learned, kept = code("split-by-group")(torch.tensor(groups), torch.tensor([*held], dtype=torch.int64))
    assert sorted([*learned.tolist(), *kept.tolist()]) == [*range(len(groups))]
    assert all(groups[place] in held for place in kept) and all(groups[place] not in held for place in learned)


# what learners count


def test_the_encoder_reads_as_many_tokens_as_everyone_counts() -> None:
    for it, answer in everyones("masked-tokens"):
        tiny = {"patch_size": it.patch, "embed_dim": 8, "num_heads": 1, "depth": 1, "num_classes": 2, "mlp_ratio": 1.0}
        model = MaskedAutoencoder(
            create("vit_tiny_patch16_224", image_size=it.side, device="cpu", **tiny), hidden=it.percent / 100, width=8
        )
        read: list[int] = []

        def note(block: object, given: object, found: torch.Tensor, read: list[int] = read) -> None:
            read.append(found.shape[1])

        model.vit.blocks[0].register_forward_hook(note)
        model(torch.zeros(1, 3, it.side, it.side))
        assert read == [answer]


@given(size=st.integers(8, 60), window=st.integers(3, 20), stride=st.integers(2, 20))
def test_as_many_windows_as_learners_place_are_looked_at(size: int, window: int, stride: int) -> None:
    window = min(window, size)
    stride = min(stride, window)
    seen: list[int] = []

    def model(windows: torch.Tensor) -> torch.Tensor:
        seen.append(len(windows))
        return windows

    sliding_window(model, torch.zeros(1, size, window), window=window, stride=stride)
    assert sum(seen) == len(code("window-starts")(size, window, stride))


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


def test_augmentation_loses_early_and_gains_when_the_curves_are_flat() -> None:
    runs = {(run["shift"], run["epochs"]): run for run in moved.results()["runs"]}
    (plain8, plain40), (moved8, moved40) = ([runs[shift, epochs] for epochs in (8, 40)] for shift in (0, 1))
    assert max(moved8["as it is"]) < min(plain8["as it is"])  # "worse on the digits as they are"
    assert fmean(plain40["as it is"]) - fmean(moved40["as it is"]) == pytest.approx(0.02, abs=0.005)  # "two points"
    assert [round(100 * fmean(run["moved"])) for run in (plain40, moved40)] == pytest.approx([40, 96], abs=1)
    assert max(plain40["moved"]) < 0.45  # "about four in ten"


def test_the_cells_on_your_own_photos_take_the_smallest_folder_that_the_text_allows(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for shade in range(5):
            Image.new("RGB", (20, 20), (50 * shade, 0, 0)).save(tmp_path / name / f"{shade}.png")

    def always_cats(model: object, images: torch.Tensor, probabilities: bool) -> torch.Tensor:
        return torch.tensor([[0.9, 0.1]]).repeat(len(images), 1)

    notebook = json.loads((FOLDER / f"{FOLDER.name}.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    names: dict[str, Any] = {
        "torch": torch, "Figure": Figure, "photos": tmp_path, "predict": always_cats, "tuned": None,
    }  # fmt: skip
    for cell in ("s9-look", "s9-worst", "s9-matrix"):
        exec(compile(cells[cell], cell, "exec"), names)
        assert names["figure"].small()
    assert names["table"].tolist() == [[1, 0], [1, 0]]  # row: true class; column: answer
