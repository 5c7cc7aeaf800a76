"""A folder with a sub-folder for each class."""

import numpy as np
import pytest
from PIL import Image

from vitlib.data.datasets import (
    DatasetError,
    image_folder,
)


@pytest.fixture
def pets(tmp_path):
    """Two cats and a dog, each of one colour, in pictures of other sizes and modes."""
    for name, mode, size, colour in [
        ("cats/tom.png", "RGB", (30, 20), (255, 0, 0)),
        ("cats/felix.jpg", "L", (8, 8), 128),
        ("dogs/deep/rex.webp", "RGB", (7, 50), (0, 0, 255)),
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, colour).save(tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    (tmp_path / "cats/.DS_Store").write_bytes(b"no picture")
    (tmp_path / "cats/.ipynb_checkpoints").mkdir()
    (tmp_path / "cats/.ipynb_checkpoints/tom-checkpoint.txt").write_bytes(b"no picture")
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_an_image_folder_has_a_class_for_each_sub_folder(pets):
    found = image_folder(pets, size=(6, 9))
    assert found.classes == ("cats", "dogs") and found.labels.tolist() == [0, 0, 1]
    assert found.images.shape == (3, 3, 6, 9)
    assert [image[:, 3, 4].tolist() for image in found.images] == [[128] * 3, [255, 0, 0], [0, 0, 255]]


def test_a_picture_is_covered_and_its_middle_kept(tmp_path):
    (tmp_path / "wide").mkdir()
    stripes = np.zeros((4, 12, 3), dtype=np.uint8)
    stripes[:, 4:8] = 255
    Image.fromarray(stripes).save(tmp_path / "wide/stripes.png")
    assert (image_folder(tmp_path, 4).images == 255).all()


def test_a_damaged_picture_is_named_and_on_request_left_out(pets):
    whole = (pets / "cats/tom.png").read_bytes()
    (pets / "cats/torn.png").write_bytes(whole[: len(whole) // 2])
    (pets / "cats/notes.txt").write_text("dear diary")
    expected = r"2 of 5 files in .* cannot be read: .*notes\.txt is no picture .*torn\.png is (damaged|no picture)"
    with pytest.raises(DatasetError, match=rf"{expected}.*skip_damaged=True"):
        image_folder(pets, 4)
    with pytest.warns(UserWarning, match=expected):
        found = image_folder(pets, 4, skip_damaged=True)
    assert found.labels.tolist() == [0, 0, 1]
    assert [image[:, 2, 2].tolist() for image in found.images] == [[128] * 3, [255, 0, 0], [0, 0, 255]]


def test_folders_that_hold_nothing_are_refused(pets, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder at .*nowhere; check the path"):
        image_folder(tmp_path / "nowhere", 4)
    with pytest.raises(DatasetError, match="has no sub-folders: expected one for each class, such as cats/ and dogs/"):
        image_folder(pets / "cats", 4)
    (pets / "birds").mkdir()
    with pytest.raises(DatasetError, match="has no picture of birds; add some, or remove the sub-folder"):
        image_folder(pets, 4)
    (pets / "birds/tweety.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 of 4"), pytest.raises(DatasetError, match="has no picture of birds"):
        image_folder(pets, 4, skip_damaged=True)
