"""Answers as data: what leaves a kernel comes back the same, and nothing that arrives can do harm."""

import base64
import io
import json
import math
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autograde.answers.compare import difference
from autograde.answers.deserialize import unpack, unpack_plain
from autograde.answers.serialize import MAX_TEXT, BadAnswer, Named, Opaque, pack

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


CARRIED = [
    {1, "a", (2, 3)},
    frozenset({frozenset({1}), 2}),
    set(),
    1 + 2j,
    complex(math.inf, -0.5),
    np.complex64(1j),
    b"\x00\xff",
    range(10, 0, -3),
    slice(None, 5, 2),
    [slice(1, None), {"a": {1}}],
    np.array([1j, 2]),
    np.zeros((2, 0), dtype=complex),
]
NAMED = [
    (torch.float32, "torch.float32"),
    (torch.device("cpu"), "cpu"),
    (np.dtype("<f4"), "<f4"),
    (Fraction(1, 3), "1/3"),
    (Decimal("0.10"), "0.10"),
    (date(2026, 1, 2), "2026-01-02"),
    (int, "builtins.int"),
    (torch.Tensor, "torch.Tensor"),
]
REFUSED = [
    object(),
    type("Mine", (), {}),
    (n for n in range(3)),
    {}.keys(),
    torch.eye(2).to_sparse(),
    torch.empty(2, device="meta"),
    np.array(["a"]),
    np.array([object()]),
    np.datetime64("2026-01-02"),
    lambda: 0,
]


@pytest.mark.parametrize("value", CARRIED, ids=lambda value: type(value).__name__)
def test_what_has_a_value_arrives_as_that_value(value):
    arrived = sent(value)
    assert difference(arrived, value if isinstance(value, np.ndarray) else sent(value)) is None
    if not isinstance(value, np.ndarray):
        assert arrived == value or value != value


@pytest.mark.parametrize(("value", "text"), NAMED)
def test_what_its_text_says_in_full_arrives_by_name(value, text):
    assert sent(value).text == text
    assert difference(sent(value), sent(value)) is None
    others = [other for other, _ in NAMED if other is not value]
    assert all(difference(sent(value), sent(other)) for other in others)


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_does_not_travel_equals_nothing(value):
    """Not even itself: of another one nothing is known but the type."""
    assert isinstance(sent(value), Opaque)
    assert difference(sent(value), sent(value)) is not None


def test_a_complex_tensor_arrives_even_where_it_is_a_view():
    tensor = torch.tensor([1 + 2j, 3j])
    assert torch.equal(unpack(pack(tensor)), tensor)
    assert torch.equal(unpack(pack(tensor.conj())), tensor.conj().resolve_conj())
    assert difference(sent(tensor), sent(tensor.conj())) is not None


def test_a_function_is_called_with_dtypes_and_devices_themselves():
    for value in (torch.float16, torch.device("cpu"), np.dtype("i8"), slice(1, 2), {1}, 2j):
        assert unpack(pack(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        {"complex": [1]},
        {"complex": ["1", 2]},
        {"complex": [{"integer": "9" * 3999}, 0]},
        {"bytes": "%"},
        {"set": 3},
        {"range": [1, 2, 0]},
        {"range": [1, 2, "3"]},
        {"slice": []},
        {"named": 3, "text": "x"},
    ],
)
def test_forged_forms_are_refused(data):
    with pytest.raises(BadAnswer):
        unpack_plain(data)


@pytest.mark.parametrize("text", ["torch.hub", "torch.os", "__class__", "", "torch.float32.__class__"])
def test_a_forged_dtype_is_only_a_name(text):
    assert unpack({"named": "torch.dtype", "text": text}) == Named("torch.dtype", text)


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
