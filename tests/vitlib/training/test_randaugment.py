"""RandAugment: each operation does what Pillow's does, and none leaves the range of a byte or the picture's shape."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from vitlib.data.samples import picture, shrink
from vitlib.training import randaugment as module
from vitlib.training.randaugment import MOST, OPERATIONS, randaugment

NAMES = ("chelsea", "coffee", "astronaut")
PHOTOS = torch.stack([shrink(picture(name)[:, :280, :280], 40) for name in NAMES])
WIDE = torch.stack([shrink(picture(name)[:, :280, :280], 40)[:, 4:28] for name in NAMES])  # 24 × 40
ENHANCE = {
    "brightness": ImageEnhance.Brightness,
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}


def pillow(images, change):
    """The same change, made by Pillow to one picture at a time."""
    changed = [np.asarray(change(Image.fromarray(each.permute(1, 2, 0).numpy()))) for each in images]
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2)


def furthest(ours, theirs):
    return (ours.int() - theirs.int()).abs().max().item()


@pytest.fixture
def one_way(monkeypatch):
    """All pictures are turned, moved or recoloured the same way: "one_way(-1)" for the other one."""

    def take(sign):
        monkeypatch.setattr(module, "_either_way", lambda images, size: torch.full((len(images),), sign * float(size)))

    return take


def test_values_that_depend_on_the_picture_alone_are_pillows():
    assert torch.equal(module.equalize(PHOTOS, 1), pillow(PHOTOS, ImageOps.equalize))
    assert furthest(module.autocontrast(PHOTOS, 1), pillow(PHOTOS, ImageOps.autocontrast)) <= 1
    for strength, bits in ((0.25, 7), (1.0, 4)):
        theirs = pillow(PHOTOS, lambda image, bits=bits: ImageOps.posterize(image, bits))
        assert torch.equal(module.posterize(PHOTOS, strength), theirs)
    theirs = pillow(PHOTOS, lambda image: ImageOps.solarize(image, 64))
    assert torch.equal(module.solarize(PHOTOS, 0.75), theirs)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", ENHANCE)
def test_factors_are_pillows(name, sign, one_way):
    one_way(sign)
    theirs = pillow(PHOTOS, lambda image: ENHANCE[name](image).enhance(1 + sign * 0.9 * 0.5))
    assert furthest(getattr(module, name)(PHOTOS, 0.5), theirs) <= 1


@pytest.mark.parametrize("images", [PHOTOS, WIDE], ids=["square", "wide"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_moves_are_pillows_wherever_all_four_neighbours_are_in_the_picture(images, sign, one_way):
    one_way(sign)
    height, width = images.shape[2:]
    middle = width / 2, height / 2
    cos, sin = np.cos(np.pi / 6), sign * np.sin(np.pi / 6)
    expected = {
        "rotate": (cos, -sin, sin, cos, 0, 0),
        "shear_x": (1, sign * 0.3, 0, 1, 0, 0),
        "shear_y": (1, 0, sign * 0.3, 1, 0, 0),
        "translate_x": (1, 0, 0, 1, sign * 0.3 * width, 0),
        "translate_y": (1, 0, 0, 1, 0, sign * 0.3 * height),
    }
    for name, (xx, xy, yx, yy, x, y) in expected.items():
        # Pillow counts from the corner
        across = xx, xy, x + middle[0] - xx * middle[0] - xy * middle[1]
        down = yx, yy, y + middle[1] - yx * middle[0] - yy * middle[1]
        change = Image.Transform.AFFINE, across + down, Image.Resampling.BILINEAR
        theirs = pillow(images, lambda image, change=change: image.transform(image.size, *change))
        inside = getattr(module, name)(torch.full_like(images, 255), 1) == 255
        ours = getattr(module, name)(images, 1)
        assert inside.float().mean() > 0.3
        assert furthest(ours[inside], theirs[inside]) <= 2, name


@given(st.integers(1, 5), st.integers(1, 4), st.integers(3, 9), st.integers(3, 9), st.integers(0, 99))
def test_any_shape_and_any_magnitude(batch, channels, height, width, seed):
    torch.manual_seed(seed)
    images = torch.randint(256, (batch, channels, height, width), dtype=torch.uint8)
    before = images.clone()
    for operation in OPERATIONS:
        for strength in (0.1, 1.0):
            changed = operation(images, strength)
            assert (changed.shape, changed.dtype) == (images.shape, torch.uint8), operation.__name__
    changed = randaugment(images, seed % (MOST + 1))
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before), "the pictures of the data set must stay"


def test_at_strength_zero_only_what_has_no_strength_changes_anything():
    for operation in OPERATIONS:
        changed = furthest(operation(PHOTOS, 0.0), PHOTOS)
        assert (changed <= 1) == (operation not in (module.autocontrast, module.equalize)), operation.__name__


def test_every_picture_gets_operations_of_its_own():
    torch.manual_seed(0)
    changed = randaugment(PHOTOS[:1].repeat(64, 1, 1, 1), 5)
    assert len({each.numpy().tobytes() for each in changed}) > 50
    assert torch.equal(randaugment(PHOTOS, 5, number=0), PHOTOS)
