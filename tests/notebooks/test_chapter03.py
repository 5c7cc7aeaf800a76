"""What chapter 3 says of itself, and of the library, is so."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Plain
from vitlib.vit.config import ViTConfig
from vitlib.vit.positions import token_row
from vitlib.vit.resize import resize_positions
from vitlib.vit.sincos import sincos_1d

FOLDER = Path(__file__).parents[2] / "solutions" / "03-cls-and-positions"
KEY = load_key(FOLDER)
SMALL = st.integers(1, 5)


@given(batch=SMALL, count=SMALL, width=SMALL)
def test_what_learners_write_is_what_the_library_does(batch: int, count: int, width: int) -> None:
    patches, cls = torch.randn(batch, count, width), torch.randn(width)
    positions = torch.randn(count + 1, width)
    prepend, add = KEY["prepend-cls"].reference, KEY["add-positions"].reference
    row = add(prepend(patches, cls), positions)
    assert torch.equal(row, token_row(patches, positions[None], cls[None, None]))


@given(count=st.integers(1, 60), half=st.integers(1, 40))
def test_the_waves_that_learners_write_are_the_librarys(count: int, half: int) -> None:
    torch.testing.assert_close(
        KEY["sincos-positions"].reference(count, 2 * half), sincos_1d(count, 2 * half)[0], rtol=0, atol=1e-4
    )


def everyones_numbers(name: str) -> list[Any]:
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 20
    return [SimpleNamespace(**variant.parameters, right=variant.right) for variant in exercise.variants]


def test_everyones_answers_are_what_the_library_builds() -> None:
    for n in everyones_numbers("row-length"):
        assert n.right == ViTConfig((n.side, n.side), n.patch).tokens
    for n in everyones_numbers("position-numbers"):
        config = ViTConfig((n.side, n.side), n.patch, embed_dim=n.width, num_heads=1)
        assert n.right == config.tokens * config.embed_dim
    for n in everyones_numbers("resized-rows"):
        old, grid = torch.zeros(1, 197, 1), (n.height // 16, n.width // 16)
        assert n.right == resize_positions(old, (14, 14), grid).shape[1]
    for n in everyones_numbers("sincos-length"):
        table = sincos_1d(n.place + 1, n.width)[0]
        assert n.right == pytest.approx((table[n.place] @ table[n.place]).item(), rel=1e-5)
