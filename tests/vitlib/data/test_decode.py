"""Every mode that Pillow reads is shown right or refused by name, and metadata never costs pixels."""

import io
import struct
import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from vitlib.data.decode import read_picture
from vitlib.data.folders import image_folder, unlabelled_folder

RAMP = np.linspace(0, 255, 48).round().reshape(6, 8)  # grey, from black to white


def saved(image: Image.Image, kind: str = "TIFF", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def grey(content: bytes) -> np.ndarray:
    red, green, blue = read_picture(content).numpy().astype(int)
    assert abs(red - green).max() <= 2 and abs(red - blue).max() <= 2
    return red


@pytest.mark.parametrize(
    ("numbers", "within"),
    [
        (RAMP.astype(np.uint8), 0),
        ((RAMP * 257).astype(np.uint16), 0),  # 16 bits
        ((RAMP * 257).astype(np.int32), 0),
        (RAMP.astype(np.int32), 0),  # bytes in a wider type
        ((RAMP / 255).astype(np.float32), 0),  # fractions: all black when they are cut off to bytes
        (RAMP.astype(np.float32), 0),
    ],
    ids=lambda each: str(getattr(each, "dtype", "")),
)
def test_grey_of_any_depth_is_the_same_ramp(numbers, within):
    assert abs(grey(saved(Image.fromarray(numbers))) - RAMP).max() <= within


@pytest.mark.parametrize(
    "numbers",
    [
        RAMP.astype(np.int32) - 300,
        RAMP.astype(np.float32) * 1e6,
        (RAMP / 255 * 1.2).astype(np.float32),  # just beyond a range, as a filter leaves it: no black picture
        (RAMP * 4).astype(np.int32),
    ],
)
def test_numbers_that_could_mean_anything_are_refused_by_name(numbers):
    with pytest.raises(ValueError, match=r"scan\.tif holds numbers from .* to .*: expected 0…1, 0…255 or 0…65535"):
        read_picture(saved(Image.fromarray(numbers)), "scan.tif")


@pytest.mark.parametrize("numbers", [RAMP.astype(np.uint8), (RAMP * 257).astype(np.uint16), RAMP.astype(np.float32)])
def test_where_0_is_white_no_negative_is_shown(numbers):
    whole = bytearray(saved(Image.fromarray(numbers)))
    whole[whole.index(struct.pack("<HHI", 262, 3, 1)) + 8] = 0  # PhotometricInterpretation: WhiteIsZero
    assert abs(grey(bytes(whole)) - (255 - RAMP)).max() == 0


def test_numbers_that_are_not_finite_are_refused():
    numbers = RAMP.astype(np.float32)
    numbers[0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        read_picture(saved(Image.fromarray(numbers)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_colour_modes_keep_black_and_white(mode):
    half = Image.fromarray(np.repeat([[0, 255]], 4, axis=0).astype(np.uint8)).convert("RGB").convert(mode)
    found = grey(saved(half))
    assert found[:, 0].max() <= 8 and found[:, 1].min() >= 247


def test_lab_is_converted_through_its_profile():
    photo = Image.fromarray(np.full((4, 4, 3), (200, 60, 30), dtype=np.uint8))
    lab = ImageCms.profileToProfile(
        photo, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    seen = read_picture(saved(lab))[:, 0, 0].int()
    assert (seen - torch.tensor([200, 60, 30])).abs().max() <= 6


def exif(orientation: int, rational: bytes) -> bytes:
    """An EXIF block with an orientation, and a resolution whose denominator may be 0."""
    entry = struct.Struct("<HHI4s")
    head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2)
    first = entry.pack(0x0112, 3, 1, struct.pack("<HH", orientation, 0))
    return head + first + entry.pack(0x011A, 10, 1, struct.pack("<I", 38)) + b"\0\0\0\0" + rational


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("rational", [struct.pack("<ii", 72, 1), struct.pack("<ii", -1, 0)])
def test_a_photo_is_turned_upright_whatever_else_its_metadata_says(orientation, rational):
    upright = np.zeros((16, 24, 3), dtype=np.uint8)
    upright[:8, :8] = 255  # a white corner, at the top left
    stored = [
        upright, upright[:, ::-1], upright[::-1, ::-1], upright[::-1], upright.transpose(1, 0, 2), np.rot90(upright),
        np.rot90(upright, 2).transpose(1, 0, 2), np.rot90(upright, 3),
    ]  # fmt: skip
    held = stored[orientation - 1]
    content = saved(Image.fromarray(np.ascontiguousarray(held)), "JPEG", quality=95, exif=exif(orientation, rational))
    seen = read_picture(content)
    assert seen.shape == (3, 16, 24)
    assert seen[:, 2, 2].min() > 230 and seen[:, 13, 21].max() < 25 and seen[:, 2, 21].max() < 25


@example([(10, 0)])  # Pillow warns of it when it opens the file, before any pixel is read
@given(st.lists(st.tuples(st.integers(6, 60), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_metadata_never_costs_the_pixels(changes):
    block = bytearray(exif(6, struct.pack("<ii", 72, 1)) + bytes(16))
    for place, value in changes:
        block[place] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(saved(Image.new("RGB", (8, 8), "white"), "JPEG", exif=bytes(block))).min() > 250


@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]), st.data())
def test_damaged_files_are_refused_or_read_and_nothing_else(kind, data):
    content = bytearray(saved(Image.fromarray(RAMP.astype(np.uint8)), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.none(), st.integers(1, len(content))))
    try:
        assert read_picture(bytes(content[:end])).dtype == torch.uint8
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith("the file ")


def white(path, side=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), "white").save(path)


def test_what_systems_leave_behind_is_no_class_and_no_picture(tmp_path):
    white(tmp_path / "cats" / "one.png")
    for name in ("cats/Thumbs.db", "cats/desktop.ini", "cats/.DS_Store", "__MACOSX/cats/._one.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    found = image_folder(tmp_path, 8)
    assert (found.classes, len(found)) == (("cats",), 1)


def test_pictures_outside_the_classes_are_named(tmp_path):
    white(tmp_path / "cats" / "one.png")
    white(tmp_path / "stray.png")
    with pytest.warns(UserWarning, match=r"lie in no class of .*: stray\.png"):
        assert len(image_folder(tmp_path, 8)) == 1


@pytest.mark.parametrize(("size", "words"), [(0, "size is 0"), ((8, -1), "size is -1")])
def test_a_size_that_is_none_is_refused(tmp_path, size, words):
    white(tmp_path / "cats" / "one.png")
    with pytest.raises(ValueError, match=words):
        image_folder(tmp_path, size)


@pytest.mark.parametrize("target", ["nowhere.png", "elsewhere"])
def test_a_link_that_leads_to_no_picture_is_named(tmp_path, target):
    white(tmp_path / "photos" / "cats" / "one.png")
    white(tmp_path / "elsewhere" / "two.png")
    (tmp_path / "photos" / "cats" / "link").symlink_to(tmp_path / target)
    with pytest.raises(ValueError, match=r"1 of 2 files in .* cannot be read: .*cats/link"):
        image_folder(tmp_path / "photos", 8)


def test_pictures_without_classes_can_be_read_and_are_told_apart(tmp_path):
    white(tmp_path / "b.png")
    white(tmp_path / "deeper" / "a.png")
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"1 of 3 files .* cannot be read: .*c\.png is no picture"):
        images, files = unlabelled_folder(tmp_path, (6, 9), skip_damaged=True)
    assert images.shape == (2, 3, 6, 9) and [each.name for each in files] == ["b.png", "a.png"]


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(ValueError, match="holds no picture; check the path"):
        unlabelled_folder(tmp_path, 8)
