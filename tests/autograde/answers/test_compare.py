"""Two values are the same or they are not, and the difference is told without giving either away."""

import re

import numpy as np
import pytest

from autograde.answers.compare import difference, first_difference
from autograde.answers.serialize import Named, Opaque

same = [
    (1, 1.0, 0),
    (1, True, 0),
    (0.1 + 0.2, 0.3, 1e-9),
    ([1, [2, 3]], [1, [2, 3]], 0),
    ({"a": 1}, {"a": 1}, 0),
    (None, None, 0),
    ("ab", "ab", 0),
    (5, np.array(5), 0),
    (0.25, Named("fractions.Fraction", "1/4"), 0),
    (3, Named("decimal.Decimal", "3.00"), 0),
    (np.array([1.0, np.nan]), np.array([1.0, np.nan]), 1e-6),
    (np.array([1, 2]), np.array([1, 2], dtype=np.uint8), 0),
    (np.zeros((0, 3)), np.zeros((0, 3)), 0),
    ({1, 2}, {2, 1}, 0),
    ({0.1 + 0.2}, {0.3}, 1e-9),
    (1 + 2j, 1 + (2 + 1e-9) * 1j, 1e-6),
    (complex("nan"), complex("nan"), 0),
    (1 + 0j, 1, 0),
    (np.array([1j]), np.array([1j + 1e-9]), 1e-6),
    (range(3), range(3), 0),
    (slice(1, None), slice(1, None), 0),
    (b"ab", b"ab", 0),
    (Named("torch.dtype", "torch.float32"), Named("torch.dtype", "torch.float32"), 0),
]
different = [
    (1, 2, "its value is off"),
    (1, 10**400, "its value is off"),
    (1.0, float("nan"), "its value is off"),
    (1, "1", "the text '1', expected a number"),
    (1, None, "None, expected a number"),
    ([1, 2], [1], "holds 1 values, expected 2"),
    ([1, 2], 1, "expected a list or tuple of 2"),
    ({"a": 1}, {"b": 1}, "other keys"),
    ({"a": 1}, {"a": 2}, "'a' is off"),
    ("a", "b", "its value is off"),
    (None, 3, "3, expected None"),
    (np.zeros(3), 0, "expected a tensor of shape"),
    (np.zeros((1, 4)), np.zeros((4, 1)), r"shape \(4, 1\), expected \(1, 4\)"),
    (np.zeros(3), np.zeros(3, dtype=int), "holds int64 values, expected float64"),
    (np.zeros(3, dtype=bool), np.zeros(3, dtype=int), "expected bool"),
    (np.zeros(3), np.ones(3), "some of its values are off"),
    ({1, 2}, {1, 3}, "its values are off"),
    ({1, 2}, {1}, "holds 1 values, expected 2"),
    ({1, 2}, [1, 2], "a list or tuple of 2 values, expected a set of 2"),
    ({"a"}, {"b"}, "its values are off"),
    ({Opaque("Grid")}, {Opaque("Grid")}, "its values are off"),
    (1 + 2j, 1 - 2j, "its value is off"),
    (1.0, 1 + 0j, "the complex number"),
    (1j, "1j", "expected a complex number"),
    (np.array([1j]), np.array([1.0]), "holds float64 values, expected complex128"),
    (np.array([1j]), np.array([2j]), "some of its values are off"),
    (range(3), range(4), "its value is off"),
    (range(3), [0, 1, 2], "expected an object of type range"),
    (slice(1, 2), slice(2, 1), "its value is off"),
    (b"ab", b"ba", "its value is off"),
    (b"ab", "ab", "expected bytes"),
    (Named("torch.dtype", "torch.float32"), Named("torch.dtype", "torch.float64"), "its value is off"),
    (Named("torch.dtype", "torch.float32"), Named("numpy.dtype", "<f4"), "its value is off"),
    (Opaque("Grid"), Opaque("Grid"), "cannot be compared"),
    ([Opaque("Grid")], [Opaque("Grid")], "value number 1 is off"),
    ({"a": Opaque("Grid")}, {"a": Opaque("Grid")}, "'a' is off"),
]


@pytest.mark.parametrize(("expected", "got", "tolerance"), same)
def test_same(expected, got, tolerance):
    assert difference(expected, got, tolerance) is None


@pytest.mark.parametrize(("expected", "got", "words"), different)
def test_different(expected, got, words):
    message = difference(expected, got, 1e-6)
    assert message is not None and re.search(words, message)


def test_tensors_that_differ_only_in_the_kind_of_their_numbers_are_told_apart():
    places = [np.array([0]), np.zeros(0, dtype=int)]
    assert first_difference(places, [np.array([0]), np.zeros(0)]) == ("[1]", "int64 values", "float64 values")
