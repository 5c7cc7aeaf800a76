"""Two patches, the same or different."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from vitlib.data.datasets import (
    same_different,
)
from vitlib.data.same_different import SYMBOLS, _alphabet


def test_on_the_grid_two_patches_are_equal_or_not():
    pairs = same_different(500, seed=3)
    patches = pairs.images.reshape(500, 4, 4, 4, 4).permute(0, 1, 3, 2, 4).reshape(500, 16, 16)
    inked = (patches > 0).any(dim=-1)
    assert (inked.sum(dim=1) == 2).all()
    first, second = patches[inked].reshape(500, 2, 16).unbind(dim=1)
    assert torch.equal((first == second).all(dim=1).long(), pairs.labels)


@settings(max_examples=20)
@given(seed=st.integers(0, 999), symbols=st.integers(2, 5), aligned=st.booleans())
def test_each_picture_is_two_known_symbols_laid_where_they_should_be(seed, symbols, aligned):
    pairs = same_different(3, aligned, seed, symbols)
    steps = [step for step in range(13) if (step % 4 == 0) == aligned]
    stamps = []
    for kind, ink in enumerate(_alphabet(symbols).reshape(-1, 4, 4)):
        for row in steps:
            for column in steps:
                stamp = torch.zeros(16, 16, dtype=torch.bool)
                stamp[row : row + 4, column : column + 4] = ink
                stamps.append((kind, stamp))
    for image, label in zip(pairs.images[:, 0] > 0, pairs.labels, strict=True):
        inside = [(kind, stamp) for kind, stamp in stamps if not (stamp & ~image).any()]
        readings = {a == b for a, s in inside for b, t in inside if torch.equal(s | t, image) and not (s & t).any()}
        assert bool(label) in readings


@pytest.mark.parametrize("aligned", [True, False])
def test_a_linear_model_stays_at_chance(aligned):
    """Least squares on the pixels, with a constant: half of 4000 new pictures, give or take four deviations."""
    train, test = same_different(8000, aligned, seed=0), same_different(4000, aligned, seed=1)
    known, new = (F.pad(each.images.flatten(1) / 255, (0, 1), value=1.0) for each in (train, test))
    weights = torch.linalg.lstsq(known, train.labels[:, None].float()).solution
    right = ((new @ weights > 0.5)[:, 0] == test.labels).float().mean()
    assert abs(right - 0.5) < 4 * 0.5 / 4000**0.5


def test_the_classes_are_even_the_ink_is_constant_and_a_seed_gives_its_own_pictures():
    pairs, others = same_different(1000, seed=0), same_different(1000, seed=1)
    assert pairs.labels.sum() == 500
    assert ((pairs.images > 0).sum(dim=(1, 2, 3)) == 16).all()
    assert torch.equal(pairs.images, same_different(1000, seed=0).images)
    known = {bytes(image.flatten().tolist()) for image in pairs.images}
    assert len(known) == 1000 and not known & {bytes(image.flatten().tolist()) for image in others.images}


def test_few_symbols_are_the_first_of_many():
    assert torch.equal(_alphabet(SYMBOLS)[:4], _alphabet(4))
    assert len(_alphabet(SYMBOLS).unique(dim=0)) == SYMBOLS


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"number": 0}, "number is 0: expected at least 1"),
        ({"number": 9, "symbols": 1}, "symbols is 1: expected 2…12870"),
        ({"number": 9, "symbols": 12_871}, "symbols is 12871: expected 2…12870"),
    ],
)
def test_same_different_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        same_different(**call)
