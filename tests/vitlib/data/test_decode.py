"""Every mode that Pillow reads is shown right or refused by name, and metadata never costs pixels."""

import io
import struct
import warnings
import zlib

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


def png(bits: int, kind: int, row: bytes, width: int, transparent: list[int]) -> bytes:
    """One row of pixels, grey (kind 0) or RGB (2), of which one colour is transparent (the chunk tRNS)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0))
    colour = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    return b"\x89PNG\r\n\x1a\n" + head + colour + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "red"),
    [
        (png(1, 0, b"\x40", 2, [0]), [255, 255]),
        (png(2, 0, b"\x1b", 4, [1]), [0, 255, 170, 255]),
        (png(4, 0, b"\x01\x8f", 4, [8]), [0, 17, 255, 255]),
        (png(8, 0, bytes([0, 100, 200, 255]), 4, [100]), [0, 255, 200, 255]),
        (png(16, 0, struct.pack(">4H", 0, 25600, 25601, 65535), 4, [25600]), [0, 255, 100, 255]),
        (png(8, 2, bytes([9, 0, 0, 0, 9, 0]), 2, [9, 0, 0]), [255, 0]),
        (png(16, 2, struct.pack(">6H", 4660, 0, 0, 0, 9, 0), 2, [4660, 0, 0]), [255, 0]),
    ],
    ids=["grey 1", "grey 2", "grey 4", "grey 8", "grey 16", "RGB 8", "RGB 16"],
)
def test_the_one_transparent_colour_of_a_png_is_white_at_every_depth(content, red):
    assert read_picture(content)[0, 0].tolist() == red


def test_12_bits_are_no_nearly_black_picture():
    whole = bytearray(saved(Image.fromarray(np.zeros((1, 4), dtype=np.uint16))))
    whole[whole.index(struct.pack("<HHI", 258, 3, 1)) + 8] = 12  # BitsPerSample
    whole[-8:-2] = bytes.fromhex("000 400 800 fff".replace(" ", ""))  # the pixels come last
    assert read_picture(bytes(whole))[0, 0].tolist() == [0, 64, 128, 255]


def test_signed_bytes_below_0_are_refused():
    numbers = Image.fromarray(np.array([[0, 127, 255]], dtype=np.uint8))  # 255 is −1
    with pytest.raises(ValueError, match="holds numbers from -1 to 127"):
        read_picture(saved(numbers, tiffinfo={339: 2}))


def cmyk_profile() -> bytes:
    """An ICC profile of four inks by which cyan is L* 50, a* 0, b* 0, a grey, and everything else white."""
    table = b"".join(b"\x80\x80\x80" if i == 8 else b"\xff\x80\x80" for i in range(16))
    identity = bytes(range(256))
    one = 1 << 16  # in s15Fixed16
    lut = b"mft1\0\0\0\0\x04\x03\x02\0" + struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, one)
    lut += 4 * identity + table + 3 * identity
    lut += bytes(-len(lut) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", 144 + len(lut), b"lcms", 2 << 24, b"prtr", b"CMYK", b"Lab ", b"", b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, one, 54061)  # D50
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


@pytest.mark.parametrize(("profile", "cyan"), [(cmyk_profile(), [119] * 3), (b"damaged", [0, 255, 255])], ids=len)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_look_as_their_profile_says(kind, profile, cyan):
    inks = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    seen = read_picture(saved(inks, kind, icc_profile=profile))[:, 8, 8]
    assert (seen.int() - torch.tensor(cyan)).abs().max() <= 4


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
