"""Chapter 7: labelled pictures to train on. Nothing is downloaded unless `download=True` asks for it."""

import torch

from vitlib import data
from vitlib.pictures import Pictures, normalise
from vitlib.synthetic import same_different

__all__ = ["Pictures", "digits", "normalise", "same_different"]


def digits() -> tuple[Pictures, Pictures]:
    """scikit-learn's handwritten digits, 8 × 8 grey: 1347 to train on and 450 to test, always the same ones.

    Every class has its quarter in the test. Writers are mixed: the same hand may be in both.

    >>> train, test = digits()
    >>> len(train), len(test), test.labels.bincount().tolist()
    (1347, 450, [45, 45, 45, 45, 46, 45, 45, 45, 44, 45])
    """
    images, labels = data.digits()
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    in_test = torch.zeros(len(labels), dtype=torch.bool)
    in_test[by_class[::4]] = True
    pictures = Pictures(images, labels, tuple("0123456789"))
    train, test = (shuffled[chosen[shuffled]] for chosen in (~in_test, in_test))
    return pictures.take(train), pictures.take(test)
