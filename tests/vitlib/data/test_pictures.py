"""Labelled pictures: what they are made of, how they are split, and their classes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from vitlib.data.datasets import (
    Pictures,
    normalise,
)


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


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true but no accelerator is found")
@pytest.mark.parametrize("start", [None, "fork", "spawn"])
def test_a_data_loader_takes_pictures_as_they_are(start):
    some = blank(6)
    some.images[:] = torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1, 1)
    workers = {"num_workers": 2, "multiprocessing_context": start, "persistent_workers": True} if start else {}
    batches = DataLoader(some, batch_size=4, pin_memory=True, **workers)
    for _ in range(2):
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        assert torch.equal(images, some.images) and torch.equal(labels, some.labels)


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


@pytest.mark.usefixtures("as_a_learner")
def test_classes_are_words_in_a_tuple_or_a_list():
    images, labels = torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1])
    assert Pictures(images, labels, ["cat", "dog"]).classes == ("cat", "dog")
    for wrong in ("ab", (0, 1), None):
        with pytest.raises(TypeError, match="expected words, such as"):
            Pictures(images, labels, wrong)
