"""Pictures: the bundled ones are those of their source, one's own is read, and bad files say so."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib.data.decode import MAX_PIXELS, read_picture
from vitlib.data.photos import FACES
from vitlib.data.samples import PICTURES, digits, picture, to_float


def save(path, image, **options):
    image.save(path, **options)
    return path


def channels_first(array):
    return torch.from_numpy(np.array(array)).permute(2, 0, 1)


# the bundled pictures


# SHA-256 of the files: of the first five as scikit-image publishes it (skimage/data/_registry.py of 0.26), of the
# others as of the files in scikit-learn 1.9.1
FILES = {
    "astronaut": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "chelsea": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "ihc": "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
    "retina": "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
    "china": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "flower": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    "digits": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
}
# SHA-256 of the bytes of tensors, taken when these two packages were still asked. A PNG is decoded alike everywhere.
TENSORS = {
    "astronaut": "9d1263ba0e684c996ad8d59ebeeb479d2608e2d7bb09a217aafcb77f1c5f9533",
    "chelsea": "9c717786308ef130d869e61afda7439c5a84e3624d7d1bc0500947db97a023f1",
    "coffee": "9b3e037f9cd32e3aa4673b24f51de4b8b0a6c6fc4c4f2c89d2dd5d63cc43e8f2",
    "ihc": "a4aaac3f2e68b8230de4049ba798832eb51c99d35d98199f6bef3794e6560a0b",
    "digits": "e466b2d4e318e5142698f22482a77c5d0c87a7357168ccdf7e2c1373c0564155",
}


def sha256(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("name", FILES)
def test_a_bundled_file_is_that_of_its_source(name):
    assert hashlib.sha256(PICTURES[name].path.read_bytes()).hexdigest() == FILES[name]


@pytest.mark.parametrize("name", TENSORS)
def test_a_bundled_picture_has_the_pixels_that_its_source_loads(name):
    assert sha256(picture(name)) == TENSORS[name]


def test_every_bundled_file_says_whose_it_is_and_its_terms():
    sources = [*PICTURES.values(), FACES]
    assert all(source.author and source.licence for source in sources)
    files = {path for path in FACES.path.parent.iterdir() if path.suffix in {".png", ".jpg", ".gz"}}
    assert {source.path for source in sources} == files


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_has_the_size_that_its_description_gives(name):
    tensor = picture(name)
    assert tensor.dtype == torch.uint8 and tensor.shape[0] == 3
    if name == "digits":
        assert tensor.shape == (3, 80, 80)
    else:
        assert f"{tensor.shape[1]} × {tensor.shape[2]} pixels" in PICTURES[name].shows


def test_digits_are_those_of_the_source():
    images, labels = digits()
    assert sha256(images) == "b41ca9fd335466eee997366c2e6f6bbe0a1b4582afe091fc4eba35f4a254182f"
    assert sha256(labels) == "a3c91c262eddcf7ba8f0e37507c30284493c9b20412ffe4af30d536401f7ba21"


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


def test_reading_pictures_imports_no_plots_and_opens_no_connection():
    script = (
        "import socket, sys\n"
        "def refuse(*arguments): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from vitlib.data.samples import PICTURES, picture\n"
        "for name in PICTURES: picture(name)\n"
        "assert 'matplotlib' not in sys.modules\n"
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
        ("zebra", ValueError, "no picture is called 'zebra'; choose one of astronaut, chelsea, coffee"),
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
