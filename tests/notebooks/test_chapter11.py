"""What the exam says of itself is so: every chapter is asked, without hints, and with numbers of everyone's own."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Code, Numeric
from vitlib import create
from vitlib.data.datasets import digits
from vitlib.data.pictures import normalise
from vitlib.training.fit import Recipe, fit
from vitlib.training.predict import predict
from vitlib.vit.config import ViTConfig

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "solutions" / "11-exam"
KEY = load_key(FOLDER)
SHEET = json.loads((FOLDER / "exercises.json").read_text(encoding="utf-8"))
TEXT = {cell.id: cell.source for cell in nbformat.read(FOLDER / "11-exam.ipynb", as_version=4).cells}


def code(name: str) -> Code:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise


def test_every_chapter_is_asked_and_named_where_to_look_again() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| \[chapter (\d)\]", TEXT["where"], re.MULTILINE)
    assert [int(chapter) for _, chapter in rows] == [*range(10)]
    assert [int(number) for numbers, _ in rows for number in numbers.split(",")] == [*range(1, len(KEY.exercises) + 1)]


def test_no_question_gives_a_hint_or_is_a_chapters() -> None:
    others = [load_key(path.parent) for path in ROOT.glob("solutions/*/key.py") if path.parent != FOLDER]
    taken = {name for key in others for name in key.exercises}
    assert [e.id for e in KEY.exercises.values() if e.hints is not None or e.id in taken] == []


def test_every_number_is_the_learners_own() -> None:
    numbers = [name for name, exercise in KEY.exercises.items() if isinstance(exercise, Numeric)]
    assert [name for name, entry in SHEET["exercises"].items() if "variants" in entry] == numbers
    released = nbformat.read(ROOT / "chapters" / "11-exam" / "11-exam.ipynb", as_version=4)
    assert {f"{name}-question" for name in numbers} | {"sign-in"} <= {cell.id for cell in released.cells}


def test_everyones_sequence_is_as_long_as_the_librarys() -> None:
    exercise = KEY["sequence-length"]
    assert isinstance(exercise, Numeric)
    for variant in exercise.variants:
        p = variant.parameters
        config = ViTConfig((p["height"], p["width"]), patch_size=p["patch"], reg_tokens=p["registers"])
        assert variant.right == config.tokens


def test_a_swin_has_as_many_numbers_after_two_mergings() -> None:
    model = create("swin_tiny_patch4_window7_224", image_size=64, embed_dim=8, num_heads=(1, 2, 4, 8))
    third = model(torch.zeros(1, 3, 64, 64), return_all=True)["layers.2"]
    exercise = KEY["merged-map"]
    assert isinstance(exercise, Numeric)
    assert third.numel() == exercise.answer(side=64, patch=4, dim=8)


def test_a_softmax_over_the_batch_nearly_hides_in_a_large_batch() -> None:
    train, test = digits()
    model = create("vit_digits_patch2_8", patch_size=4, depth=2, seed=0)
    fit(model, train, test, Recipe(epochs=10, lr=2e-3))
    logits = predict(model, normalise(test.images, (0.5,), (0.5,))).cpu()
    right = (logits.softmax(dim=0).argmax(dim=1) == test.labels).float().mean()
    alone = torch.stack([one[None].softmax(dim=0).argmax(dim=1) for one in logits])
    assert right > 0.85 and alone.eq(0).all()


@given(batch=st.integers(1, 3), length=st.integers(1, 6), seed=st.integers(0, 99))
def test_masked_weights_are_torchs(batch: int, length: int, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(batch, length, 4, generator=dice) for _ in range(3))
    mask = (torch.rand(length, length, generator=dice) < 0.5) | torch.eye(length, dtype=torch.bool)
    mixed = code("masked-weights").reference(q, k, mask) @ v
    torch.testing.assert_close(mixed, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_factor_on_all_logits_changes_the_probability(factor: float) -> None:
    logits = torch.tensor([1.0, 0.0, -1.0])
    assert logits.softmax(0).argmax() == (factor * logits).softmax(0).argmax()
    assert not torch.allclose(logits.softmax(0), (factor * logits).softmax(0), atol=0.05)
