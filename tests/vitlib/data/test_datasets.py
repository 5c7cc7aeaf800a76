"""The bundled digits and faces, and an .npz of JPEG files."""

import hashlib
import io

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib.data import samples as data
from vitlib.data.datasets import (
    DatasetError,
    digits,
    faces,
    read_jpegs,
)


def test_digits_are_all_there_and_the_split_is_always_the_same():
    train, test = digits()
    assert (len(train), len(test), test.classes) == (1347, 450, tuple("0123456789"))
    images, labels = data.digits()

    def inked(images, labels):
        rows = torch.cat([labels[:, None], images.flatten(1)], dim=1)
        return sorted(rows.tolist())

    together = inked(torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels]))
    assert together == inked(images, labels)
    again = digits()
    assert torch.equal(train.images, again[0].images) and torch.equal(test.images, again[1].images)


def test_faces_are_half_of_each_split_and_those_of_the_source():
    train, test = faces()
    assert (len(train), len(test), train.classes) == (100, 100, ("face", "background"))
    assert train.labels.sum() == test.labels.sum() == 50
    # SHA-256 of the bytes, taken when they came from skimage.data.lfw_subset (scikit-image 0.26)
    digests = [
        hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
        for tensor in (train.images, train.labels, test.images, test.labels)
    ]
    assert digests == [
        "441bfd1bc11d9fcd525bb1fa128e767a8656698f8b557487eaefbf81b789c5b3",
        "8e564b4e5aa0e9c4be6452c69264d305bcc9212702f56e9a98ca9c4b73f852c6",
        "a43c348ed86f1a7ff22d653102fe107ed3897902bf14eb41587b3c50f0ad0e29",
        "8f2efada9da8e2c1dc214c7682d367bd5078606cfd490a8290688b0ee2c62b59",
    ]


def jpegs(number, side=8):
    """Grey pictures, number i of brightness 10·i."""
    files = []
    for i in range(number):
        stream = io.BytesIO()
        Image.new("RGB", (side, side), (10 * i,) * 3).save(stream, "JPEG", quality=75)
        files.append(stream.getvalue())
    return files


def packed(train, test, **changes):
    arrays = {"classes": np.array(["cat", "dog"])}
    for split, files in (("train", train), ("test", test)):
        arrays[f"{split}_jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{split}_offsets"] = np.cumsum([0, *map(len, files)])
        arrays[f"{split}_labels"] = (np.arange(len(files)) % 2).astype(np.uint8)
    return arrays | changes


def test_jpegs_are_decoded_once_and_in_order(tmp_path):
    np.savez(tmp_path / "some.npz", **packed(jpegs(5), jpegs(3)))
    train, test = read_jpegs(tmp_path / "some.npz")
    assert (len(train), len(test), train.classes) == (5, 3, ("cat", "dog"))
    assert train.images.shape == (5, 3, 8, 8) and train.labels.tolist() == [0, 1, 0, 1, 0]
    assert (train.images[:, 0, 4, 4].int() - 10 * torch.arange(5)).abs().max() <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_jpeg": np.zeros(9, np.uint8)}, "train_offsets do not fit its 9 bytes of JPEG"),
        ({"test_offsets": np.array([0])}, "test_offsets do not fit"),
        ({"train_labels": np.zeros(4, np.uint8)}, r"labels have shape \(4,\): expected \(5,\)"),
        ({"classes": np.array(["cat"])}, "label 1 of picture 1 is out of range"),
        ({"classes": np.array([{"a": 1}])}, r"is no whole \.npz file .*allow_pickle"),
    ],
)
@pytest.mark.usefixtures("as_a_learner")
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, changes, message):
    np.savez(tmp_path / "some.npz", **packed(jpegs(5), jpegs(3), **changes))
    with pytest.raises(ValueError, match=message):
        read_jpegs(tmp_path / "some.npz")


def test_a_jpeg_that_cannot_be_read_is_named(tmp_path):
    files = jpegs(3)
    np.savez(tmp_path / "torn.npz", **packed(jpegs(4), [files[0], files[1][:80], files[2]]))
    with pytest.raises(DatasetError, match=r"torn\.npz: test picture 1 cannot be read"):
        read_jpegs(tmp_path / "torn.npz")
    np.savez(tmp_path / "sizes.npz", **packed([*jpegs(2), *jpegs(1, side=9)], files))
    with pytest.raises(DatasetError, match=r"train picture 2 is \(9, 9\): expected the size of the first"):
        read_jpegs(tmp_path / "sizes.npz")


def test_a_file_that_is_no_npz_or_another_one_is_refused(tmp_path):
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DatasetError, match=r"torn\.npz is no whole \.npz file"):
        read_jpegs(tmp_path / "torn.npz")
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    with pytest.raises(DatasetError, match="lacks train_jpeg, train_offsets"):
        read_jpegs(tmp_path / "other.npz")
