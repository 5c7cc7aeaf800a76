"""What chapter 1 says of itself, and of the library, is so."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Plain
from vitlib.data.samples import picture
from vitlib.vit import patches
from vitlib.vit.patches import PatchGrid

FOLDER = Path(__file__).parents[2] / "solutions" / "01-patch-grid"
KEY = load_key(FOLDER)
SMALL = st.integers(1, 4)


def test_the_notes_that_the_book_grew_out_of_are_covered_with_the_answers_that_they_give() -> None:
    answers = {
        "patch-tokens": 196,
        "eight-pixel-patches": 16,
        "eight-a-side": 64,
        "positions-after-embedding": 1,
        "only-convolutions": 0,
        "cls-with-head": 1,
        "image-to-tokens": 2,
        "oom-cure": 2,
    }
    for name, answer in answers.items():
        exercise = KEY[name]
        assert isinstance(exercise, Plain)
        assert exercise.right == answer, name


def everyones_numbers(name: str) -> list[Any]:
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 40
    return [SimpleNamespace(**variant.parameters) for variant in exercise.variants]


@pytest.mark.parametrize("name", ["patch-tokens", "eight-pixel-patches"])
def test_with_everyones_numbers_the_patches_fit_where_nothing_is_said_of_a_rest(name: str) -> None:
    for n in everyones_numbers(name):
        assert PatchGrid(n.side, n.side, n.patch).divides


def test_what_questions_and_messages_take_for_granted_holds_with_everyones_numbers() -> None:
    assert all(n.side % n.patch for n in everyones_numbers("leftover-corner"))


@given(batch=SMALL, channels=SMALL, rows=SMALL, columns=SMALL, patch=SMALL)
def test_what_learners_write_is_what_the_library_does(
    batch: int, channels: int, rows: int, columns: int, patch: int
) -> None:
    shape = batch, channels, rows * patch, columns * patch
    images = torch.randperm(batch * channels * rows * columns * patch**2).reshape(shape)
    count, cut, mend = (KEY[name].reference for name in ("count-patches", "patchify", "unpatchify"))
    grid = PatchGrid(*shape[2:], patch)
    tokens = cut(images, patch)
    assert count(*shape[2:], patch) == grid.tokens == tokens.shape[1]
    assert torch.equal(tokens, patches.patchify(images, patch))
    assert torch.equal(mend(tokens, *shape[2:], patch), images)


def test_the_explorers_puzzles_have_the_answers_that_they_promise() -> None:
    side = picture("retina").shape[1]
    assert len([patch for patch in range(14, 21) if side % patch == 0]) == 1
    height, width = picture("chelsea").shape[1:]
    doubled = [
        patch
        for patch in range(1, 129)
        if -(-height // patch) * -(-width // patch) == 2 * (height // patch) * (width // patch)
    ]
    assert doubled
