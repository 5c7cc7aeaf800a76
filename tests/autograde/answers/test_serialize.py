"""Answers as data: what leaves a kernel comes back the same, and nothing that arrives can do harm."""

import base64
import io
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autograde.answers.serialize import MAX_TEXT, BadAnswer, Opaque, pack, unpack, unpack_plain

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
arrays = npst.arrays(st.sampled_from(["u1", "i4", "i8", "f4", "f8", "?"]), npst.array_shapes(min_dims=0, min_side=0))


def sent(value):
    """`value` after the whole journey, JSON text included."""
    return unpack_plain(json.loads(json.dumps(pack(value))))


@given(plain)
def test_plain_values_arrive_unchanged(value):
    assert sent(value) == value


@given(arrays)
def test_arrays_arrive_unchanged(array):
    arrived = sent(array)
    assert arrived.dtype == array.dtype
    np.testing.assert_array_equal(arrived, array)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8, torch.int64, torch.bool])
def test_tensors_arrive_as_tensors_in_a_kernel_and_as_arrays_at_the_grader(dtype):
    tensor = torch.arange(6).reshape(2, 3).T.to(dtype)  # transposed: not contiguous
    assert torch.equal(unpack(pack(tensor)), tensor)
    assert isinstance(sent(tensor), np.ndarray)


def test_a_half_precision_tensor_that_numpy_lacks_arrives_as_float():
    assert sent(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32


def test_a_tensor_that_wants_gradients_arrives():
    assert sent(torch.ones(2, requires_grad=True)).tolist() == [1.0, 1.0]


def test_unanswered_infinite_and_foreign_values_have_forms_of_their_own():
    assert sent(...) is ...
    assert math.isnan(sent(float("nan"))) and sent(-math.inf) == -math.inf
    assert sent(np.int64(7)) == 7 and sent(np.float32(0.5)) == 0.5
    assert sent(object()) == Opaque("object")
    assert sent((1, 2)) == [1, 2]


@pytest.mark.parametrize("make", [lambda: "x" * (MAX_TEXT + 1), lambda: [0] * 10_001, lambda: 10**5000])
def test_what_is_too_large_is_refused_before_it_travels(make):
    with pytest.raises(BadAnswer):
        pack(make())


def test_a_tensor_that_is_too_large_is_refused():
    with pytest.raises(BadAnswer, match="69 MiB; at most 64"):
        pack(torch.zeros(1).expand(18_000_000))


def test_a_list_that_holds_itself_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(BadAnswer, match="nested"):
        pack(endless)


def npy(header: str, body: bytes = b"") -> dict:
    text = header.encode("latin1").ljust(118) + b"\n"
    raw = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body
    return {"array": base64.b64encode(raw).decode(), "of": "numpy"}


def pickled_array() -> dict:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object], dtype=object), allow_pickle=True)
    return {"array": base64.b64encode(buffer.getvalue()).decode(), "of": "numpy"}


@pytest.mark.parametrize(
    "data",
    [
        {"array": "not base64!", "of": "numpy"},
        {"array": "", "of": "numpy"},
        {"array": 3, "of": "numpy"},
        {"array": "AAAA", "of": "pickle"},
        pickled_array(),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", b"12345678"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"12345678"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", b"123"),
        npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }", b"12345678"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }", b"12345678"),
        npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62}, {2**62}, 0), }}"),
        npy("__import__('os').system('true')"),
        npy("(" * 100),
        {"float": "0x1p999999"},
        {"integer": "9" * 5000},
        {"integer": "1_0"},
        {"integer": "--1"},
        {"integer": "٤"},
        {"items": [[1]]},
        {"items": [[[1], 2]]},
        {"anything": "else"},
        {},
    ],
)
def test_forged_data_is_refused(data):
    with pytest.raises(BadAnswer):
        unpack_plain(data)


def test_deeply_nested_data_is_refused():
    data: list = []
    for _ in range(100):
        data = [data]
    with pytest.raises(BadAnswer, match="nested"):
        unpack_plain(data)
