"""Labelled pictures: what a set holds, tasks that give nothing away, and files that are whole or refused."""

import hashlib
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vitlib.data import samples as data
from vitlib.data.datasets import (
    DatasetError,
    Pictures,
    digits,
    faces,
    image_folder,
    normalise,
    read_jpegs,
    same_different,
)
from vitlib.data.same_different import SYMBOLS, _alphabet

# pictures


def blank(number, classes=("cat", "dog"), side=2):
    labels = torch.arange(number) % len(classes)
    return Pictures(torch.zeros(number, 3, side, side, dtype=torch.uint8), labels, classes)


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(3, 2, 2).byte()}, r"shape \(3, 2, 2\): expected four axes"),
        ({"images": torch.zeros(4, 3, 2, 2)}, "images are torch.float32: expected torch.uint8, 0…255"),
        ({"labels": torch.tensor([0, 1, 1])}, r"labels have shape \(3,\): expected \(4,\), one a picture"),
        ({"labels": torch.tensor([0.0, 1, 1, 0])}, "labels are torch.float32: expected torch.int64"),
        ({"labels": [0, 1, 1, 0]}, "labels are a list: expected a torch.Tensor"),
        ({"labels": torch.tensor([0, 1, 2, 7])}, r"label 2 of picture 2 is out of range: .* 2 classes, 0…1; 2 of 4"),
        ({"labels": torch.tensor([0, 1, 1, -1])}, "label -1 of picture 3 is out of range"),
    ],
)
def test_pictures_that_make_no_sense_are_refused(change, message):
    good = {"images": torch.zeros(4, 3, 2, 2).byte(), "labels": torch.tensor([0, 1, 1, 0]), "classes": ("cat", "dog")}
    with pytest.raises((TypeError, ValueError), match=message):
        Pictures(**good | change)


def test_take_keeps_pictures_and_labels_together():
    some = blank(6)
    some.images[:] = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1)
    taken = some.take(torch.tensor([5, 0, 3]))
    assert taken.images[:, 0, 0, 0].tolist() == [5, 0, 3] and taken.labels.tolist() == [1, 0, 1]
    assert some.take(slice(2, 4)).images[:, 0, 0, 0].tolist() == [2, 3]
    assert some.to("cpu").classes == some.classes and len(some.to("cpu")) == 6


@given(counts=st.lists(st.integers(0, 30), min_size=2, max_size=5), every=st.integers(2, 6), seed=st.integers(0, 9))
def test_a_split_takes_each_picture_once_and_its_share_of_every_class(counts, every, seed):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    if len(labels) < every:
        return
    images = torch.arange(len(labels)).reshape(-1, 1, 1, 1).to(torch.uint8)
    train, test = Pictures(images, labels, tuple("abcde"[: len(counts)])).split(every, seed)
    assert sorted([*train.images.flatten().tolist(), *test.images.flatten().tolist()]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        assert abs(int((test.labels == label).sum()) - count / every) < 1


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"every is 5: expected 2…4 \(all pictures\); 5 keeps a fifth to test"):
        blank(4).split(5)
    with pytest.raises(ValueError, match="every is 1"):
        blank(4).split(1)


def test_normalised_by_their_own_statistics_pictures_have_mean_0_and_deviation_1():
    images = torch.randint(256, (9, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = Pictures(
        images // torch.tensor([1, 2, 4], dtype=torch.uint8).reshape(3, 1, 1), torch.zeros(9).long(), ("noise",)
    )
    pixels = normalise(pictures.images, *pictures.statistics())
    assert torch.allclose(pixels.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(pixels.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


# digits


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


# classes


@pytest.mark.usefixtures("as_a_learner")
def test_classes_are_words_in_a_tuple_or_a_list():
    images, labels = torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1])
    assert Pictures(images, labels, ["cat", "dog"]).classes == ("cat", "dog")
    for wrong in ("ab", (0, 1), None):
        with pytest.raises(TypeError, match="expected words, such as"):
            Pictures(images, labels, wrong)


# same or different


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


# image folders


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


# an .npz of JPEG files


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
