"""Changes of pictures: each in its own way, every value one that was there, and targets that still sum to one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitlib.training import augment

SIDES = st.integers(3, 9)


def numbered(batch: int, height: int, width: int) -> torch.Tensor:
    """Pictures in which every pixel has a value of its own, and none is black."""
    return torch.arange(1, height * width + 1, dtype=torch.uint8).reshape(1, 1, height, width).repeat(batch, 2, 1, 1)


@given(SIDES, SIDES, st.integers(0, 3), st.integers(0, 99))
def test_shift_moves_each_picture_as_a_whole(height, width, pixels, seed):
    torch.manual_seed(seed)
    images = numbered(5, height, width)
    for moved, image in zip(augment.shift(images, pixels), images, strict=True):
        padded = torch.nn.functional.pad(image, (pixels,) * 4)
        places = [
            (top, left)
            for top in range(2 * pixels + 1)
            for left in range(2 * pixels + 1)
            if torch.equal(padded[:, top : top + height, left : left + width], moved)
        ]
        assert places


def test_shift_moves_pictures_by_different_steps():
    torch.manual_seed(0)
    moved = augment.shift(numbered(64, 8, 8), 2)
    assert len({tuple(image.flatten().tolist()) for image in moved}) > 15  # of 25 moves


def test_flip_mirrors_about_half_and_leaves_the_others():
    torch.manual_seed(0)
    images = numbered(400, 4, 5)
    flipped = augment.flip(images)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    as_it_was = (flipped == images).flatten(1).all(1)
    assert (mirrored ^ as_it_was).all()
    assert 160 < mirrored.sum() < 240


@given(SIDES, SIDES, st.integers(0, 3), st.integers(0, 99))
def test_erase_hides_one_square_and_nothing_else(height, width, pixels, seed):
    torch.manual_seed(seed)
    images = numbered(4, height, width)
    for erased, image in zip(augment.erase(images, pixels), images, strict=True):
        changed = (erased != image)[0].nonzero()
        assert len(changed) == pixels**2
        if pixels:
            assert (changed.amax(0) - changed.amin(0)).tolist() == [pixels - 1, pixels - 1]
            assert (erased[:, changed[:, 0], changed[:, 1]] == 128).all()


@pytest.mark.parametrize("mix", [augment.mixup, augment.cutmix])
@given(seed=st.integers(0, 99), alpha=st.sampled_from([0.2, 1.0]))
def test_mixed_targets_say_how_much_of_each_picture_there_is(mix, seed, alpha):
    """Pictures of one colour each: the share of a colour in the mixture is the share in the target."""
    torch.manual_seed(seed)
    colours = torch.tensor([0.0, 1.0, 0.0, 1.0])
    images = colours.reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    mixed, targets = mix(images, augment.one_hot(colours.long(), 2), alpha)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), targets[:, 1])
