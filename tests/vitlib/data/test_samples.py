"""Pictures: the bundled ones are what their packages say, one's own is read, and bad files say so."""

import io
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import sklearn.datasets
import torch
from PIL import Image

from vitlib.data.decode import MAX_PIXELS, read_picture
from vitlib.data.samples import PICTURES, digits, picture, to_float


def save(path, image, **options):
    image.save(path, **options)
    return path


def channels_first(array):
    return torch.from_numpy(np.array(array)).permute(2, 0, 1)


# the bundled pictures


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("astronaut", skimage.data.astronaut),
        ("chelsea", skimage.data.chelsea),
        ("coffee", skimage.data.coffee),
        ("ihc", skimage.data.immunohistochemistry),
        ("retina", skimage.data.retina),
        ("china", lambda: sklearn.datasets.load_sample_image("china.jpg")),
        ("flower", lambda: sklearn.datasets.load_sample_image("flower.jpg")),
    ],
)
def test_a_bundled_picture_is_the_one_that_its_package_loads(name, official):
    assert torch.equal(picture(name), channels_first(official()))


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_has_the_size_that_its_description_gives(name):
    tensor = picture(name)
    assert tensor.dtype == torch.uint8 and tensor.shape[0] == 3
    if name == "digits":
        assert tensor.shape == (3, 80, 80)
    else:
        assert f"{tensor.shape[1]} × {tensor.shape[2]} pixels" in PICTURES[name].shows


def test_digits_are_those_of_scikit_learn():
    official = sklearn.datasets.load_digits()
    images, labels = digits()
    assert torch.equal((images[:, 0].double() * 16 / 255).round(), torch.from_numpy(official.images))
    assert torch.equal(labels, torch.from_numpy(official.target))


def test_on_the_sheet_of_digits_every_tile_of_8_is_one_digit():
    images, _ = digits()
    assert torch.equal(picture("digits")[:, 16:24, 40:48], images[25].expand(3, 8, 8))


def test_to_float():
    batch = to_float(picture("digits"))
    assert batch.shape == (1, 3, 80, 80) and batch.min() == 0 and batch.max() == 1


@pytest.mark.usefixtures("as_a_learner")
def test_to_float_refuses_what_is_no_picture_of_bytes():
    with pytest.raises(ValueError, match=r"picture is torch.float32 of shape \(3, 8, 8\)"):
        to_float(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match=r"\(1, 3, 8, 8\): expected torch.uint8 of shape \(C, H, W\)"):
        to_float(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_reading_pictures_imports_neither_package_and_opens_no_connection():
    script = (
        "import socket, sys\n"
        "def refuse(*arguments): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from vitlib.data.samples import PICTURES, picture\n"
        "for name in PICTURES: picture(name)\n"
        "assert not {'skimage', 'sklearn', 'pooch', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# one's own picture


@pytest.fixture
def photo():
    """Top row red and green, bottom row blue and white, in blocks of 8 that survive JPEG."""
    corners = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], dtype=np.uint8)
    return Image.fromarray(corners.repeat(8, axis=0).repeat(16, axis=1))  # 16 high, 32 wide


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_a_file_by_its_path(tmp_path, photo, suffix):
    path = save(tmp_path / f"photo.{suffix}", photo, **({"lossless": True} if suffix == "webp" else {}))
    assert torch.equal(picture(path), channels_first(photo))
    assert torch.equal(picture(str(path)), picture(path))


def test_a_phones_picture_is_turned_upright(tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise to see it upright
    path = save(tmp_path / "phone.jpg", photo, exif=exif, quality=95)
    upright = picture(path)
    assert upright.shape == (3, 32, 16)
    top_left = upright[:, 2:6, 2:6].float().mean(dim=(1, 2))
    assert torch.allclose(top_left, torch.tensor([0.0, 0.0, 255.0]), atol=12)  # blue was at the bottom left


def test_grey_palette_and_16_bit_become_rgb(tmp_path):
    grey = Image.fromarray(np.arange(0, 64, dtype=np.uint8).reshape(8, 8) * 4)
    expected = torch.from_numpy(np.array(grey)).expand(3, 8, 8)
    assert torch.equal(picture(save(tmp_path / "grey.png", grey)), expected)
    assert torch.equal(picture(save(tmp_path / "palette.png", grey.convert("P"))), expected)
    deep = Image.fromarray(np.array(grey).astype(np.uint16) * 256 + 7)
    assert deep.mode.startswith("I;16")
    assert torch.equal(picture(save(tmp_path / "deep.png", deep)), expected)


def test_transparent_pixels_lie_on_white(tmp_path):
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[:, :2] = (255, 0, 0, 255)  # the left half is red, the right half is transparent black
    seen = picture(save(tmp_path / "logo.png", Image.fromarray(pixels)))
    assert seen[:, 0, 0].tolist() == [255, 0, 0] and seen[:, 0, 3].tolist() == [255, 255, 255]


def test_uploaded_bytes_are_read_like_a_file(photo):
    stream = io.BytesIO()
    photo.save(stream, format="PNG")
    assert torch.equal(read_picture(stream.getvalue()), channels_first(photo))


def test_a_bundled_name_wins_over_a_file_of_that_name(tmp_path, photo, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "coffee", photo, format="PNG")
    assert picture("coffee").shape == (3, 400, 600)
    assert picture("./coffee").shape == (3, 16, 32)


# bad input


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("astronout", ValueError, "no picture is called 'astronout': did you mean 'astronaut'?"),
        ("Retina", ValueError, "did you mean 'retina'?"),
        ("zebra", ValueError, "no picture is called 'zebra': Choose one of astronaut, chelsea, coffee"),
        ("cat.png", FileNotFoundError, "no file at 'cat.png'; check the path"),
        ("pictures/cat", FileNotFoundError, "no file at 'pictures/cat'; check the path"),
        (".", ValueError, "'.' is a folder; give the path of one picture in it"),
        ("", ValueError, "is a folder"),
    ],
)
def test_a_name_that_leads_nowhere(name, error, message):
    with pytest.raises(error) as raised:
        picture(name)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_that_is_no_picture(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("dear diary")
    with pytest.raises(ValueError, match=r"notes\.png is no picture that can be read; save it as one of PNG"):
        picture(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is no picture that can be read"):
        picture(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "gif", "bmp", "webp"])
def test_a_file_that_breaks_off(tmp_path, suffix):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path = save(tmp_path / f"torn.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"torn.* (is damaged|is no picture)") as raised:
        picture(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("side", [9_000, 30_000])  # 81 and 900 million pixels: Pillow itself warns or refuses
def test_an_absurdly_large_file_is_refused_before_it_is_unpacked(tmp_path, side):
    assert side * side > MAX_PIXELS
    path = save(tmp_path / "wall.png", Image.new("1", (side, side)))
    with pytest.raises(ValueError, match=r"wall\.png has more than 64 million pixels; shrink it"):
        picture(path)
