"""Answers as data, as they travel from a learner's process to the grader.

`pack` turns any Python value into plain data that JSON can carry; arrays and tensors travel as .npy bytes.
`unpack` turns that data back into values. Nothing is ever pickled, so reading an answer runs no code of the learner's.

Packed forms: None, bool, int, float, str and list stand for themselves; everything else is a dict with one tag:
`{"array": base64, "of": "torch" | "numpy"}`, `{"float": "nan"}`, `{"integer": digits}` (beyond 64 bits),
`{"complex": [real, imaginary]}`, `{"bytes": base64}`, `{"set": [...]}`, `{"range": [...]}`, `{"slice": [...]}`,
`{"items": [[key, value], ...]}`, `{"named": kind, "text": text}` (a dtype, a fraction, a date: what its text says in
full), `{"blank": true}` (the `...` of an exercise nobody answered) and `{"object": type name}` for a value that does
not travel, and that equals nothing.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_ARRAY_BYTES = 64 * 2**20
MAX_TEXT = 10_000  # characters
MAX_ITEMS = 10_000  # values in one list
MAX_DEPTH = 20
_CARRIED = "biufc"  # kinds of arrays: truth values, integers, floats and complex numbers
_DIGITS = 4_000  # of an integer: Python itself refuses to print more than 4300


class BadAnswer(ValueError):
    """An answer that cannot be sent or read; the text tells the learner why."""


@dataclass(frozen=True)
class Opaque:
    """Stands for a value that is not sent, only the name of its type."""

    type_name: str


@dataclass(frozen=True)
class Named:
    """A value that its kind and its text say in full: `torch.dtype` and `torch.float32`."""

    kind: str
    text: str


# Kinds of values whose text says all, and the modules whose classes are known by their names
_NAMED = {
    *("fractions.Fraction", "decimal.Decimal", "uuid.UUID", "torch.dtype", "torch.device", "pathlib.PosixPath"),
    *("datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta"),
}
_CLASSES_OF = {"builtins", "torch", "numpy"}


def pack(value: Any, depth: int = 0) -> Any:
    """Plain data for `value`.

    >>> pack((1, 2.5, "text", ...))
    [1, 2.5, 'text', {'blank': True}]
    >>> pack(open)
    {'object': 'builtin_function_or_method'}

    Raises:
        BadAnswer: the value is too large or too deeply nested to travel.
    """
    if depth > MAX_DEPTH:
        raise BadAnswer(f"is nested more than {MAX_DEPTH} levels deep")
    match value:
        case None | bool():
            return value
        case int():
            return _pack_integer(int(value))
        case float():
            return float(value) if math.isfinite(value) else {"float": str(float(value))}
        case str():
            if len(value) > MAX_TEXT:
                raise BadAnswer(f"is a text of {len(value):,} characters; at most {MAX_TEXT:,} are read")
            return str(value)
        case list() | tuple():
            _check_length(value)
            return [pack(item, depth + 1) for item in value]
        case dict():
            _check_length(value)
            return {"items": [[pack(key, depth + 1), pack(item, depth + 1)] for key, item in value.items()]}
        case np.ndarray():
            return _pack_array(value, "numpy")
        case np.generic() if value.dtype.kind in "biufcSU":
            return pack(value.item(), depth)
        case complex():
            return {"complex": [pack(value.real), pack(value.imag)]}
        case bytes() | bytearray():
            if len(value) > MAX_TEXT:
                raise BadAnswer(f"is {len(value):,} bytes; at most {MAX_TEXT:,} are read")
            return {"bytes": base64.b64encode(value).decode("ascii")}
        case set() | frozenset():
            _check_length(value)
            return {"set": sorted((pack(item, depth + 1) for item in value), key=lambda item: json.dumps(item))}
        case range() | slice():
            return {type(value).__name__: [pack(part, depth + 1) for part in (value.start, value.stop, value.step)]}
        case Opaque(name):
            return {"object": name}
        case Named(kind, text):
            return {"named": kind, "text": text}
    if value is ...:
        return {"blank": True}
    torch = sys.modules.get("torch")  # a tensor can only exist where torch was imported already
    if torch is not None and isinstance(value, torch.Tensor):
        return _pack_tensor(value, torch)
    return _pack_named(value)


def unpack(data: Any) -> Any:
    """The value that `pack` packed: tensors come back as tensors where their owner had tensors.

    Raises:
        BadAnswer: the data is not of any packed form.
    """
    return _unpack(data, tensors=True, depth=0)


def unpack_plain(data: Any) -> Any:
    """Like `unpack`, with every tensor as a numpy array: what the grader reads, without importing torch."""
    return _unpack(data, tensors=False, depth=0)


def _unpack(data: Any, tensors: bool, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadAnswer(f"is nested more than {MAX_DEPTH} levels deep")
    match data:
        case None | bool() | int() | float() | str():
            return data
        case list():
            _check_length(data)
            return [_unpack(item, tensors, depth + 1) for item in data]
        case {"array": str(text), "of": "torch" | "numpy" as owner}:
            array = _read_npy(text)
            if tensors and owner == "torch":
                import torch

                return torch.from_numpy(array)
            return array
        case {"float": "nan" | "inf" | "-inf" as name}:
            return float(name)
        case {"integer": str(digits)} if len(digits) <= _DIGITS and re.fullmatch("-?[0-9]+", digits):
            return int(digits)
        case {"items": list(pairs)}:
            _check_length(pairs)
            return _unpack_items(pairs, tensors, depth)
        case {"complex": [real, imaginary]}:
            return complex(_float(real), _float(imaginary))
        case {"bytes": str(text)}:
            return _read_base64(text)
        case {"set": list(items)}:
            _check_length(items)
            return {_hashable(_unpack(item, tensors, depth + 1)) for item in items}
        case {"range": [int(start), int(stop), int(step)]} if step:
            return range(start, stop, step)
        case {"slice": [_, _, _] as parts}:
            return slice(*(_unpack(part, tensors, depth + 1) for part in parts))
        case {"named": str(kind), "text": str(text)}:
            return _unpack_named(Named(kind[:100], text[:MAX_TEXT]), tensors)
        case {"blank": True}:
            return ...
        case {"object": str(name)}:
            return Opaque(name[:100])
    raise BadAnswer("did not arrive in a form that can be read")


def _unpack_named(value: Named, tensors: bool) -> Any:
    """In a kernel, what functions are called with: a dtype or a device itself; elsewhere its name is as good."""
    if tensors and value.kind in ("torch.dtype", "torch.device"):
        import torch

        is_dtype = value.kind == "torch.dtype"
        made = getattr(torch, value.text.removeprefix("torch."), None) if is_dtype else torch.device(value.text)
        return made if isinstance(made, torch.dtype | torch.device) else value
    if tensors and value.kind == "numpy.dtype":
        return np.dtype(value.text)
    return value


def _float(part: Any) -> float:
    value = _unpack(part, tensors=False, depth=0)
    if not isinstance(value, int | float):
        raise BadAnswer("did not arrive in a form that can be read")
    try:
        return float(value)
    except OverflowError:
        raise BadAnswer("did not arrive in a form that can be read") from None


def _hashable(value: Any) -> Any:
    """An item of a set, whose tuples have travelled as lists."""
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, set):
        return frozenset(value)
    try:
        hash(value)
    except TypeError:
        return Opaque(type(value).__name__)
    return value


def _read_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadAnswer("did not arrive in a form that can be read") from None


def _unpack_items(pairs: list[Any], tensors: bool, depth: int) -> dict[Any, Any]:
    result = {}
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise BadAnswer("did not arrive in a form that can be read")
        key = _unpack(pair[0], tensors, depth + 1)
        if not isinstance(key, str | int | float | bool | None):
            raise BadAnswer("is a dict whose keys are neither texts nor numbers")
        result[key] = _unpack(pair[1], tensors, depth + 1)
    return result


def _pack_tensor(tensor: Any, torch: Any) -> Any:
    try:
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
        return _pack_array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(), "torch")
    except (TypeError, RuntimeError):  # sparse, quantised, without content: numpy has no such thing
        return {"object": f"tensor of {tensor.dtype}, {tensor.layout}"}


def _pack_named(value: Any) -> Any:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, np.dtype):
        kind, text = "numpy.dtype", value.str
    elif isinstance(value, type) and value.__module__ in _CLASSES_OF:
        kind, text = "type", f"{value.__module__}.{value.__qualname__}"
    elif kind in _NAMED:
        text = str(value)
    else:
        return {"object": type(value).__name__[:100]}
    return {"named": kind, "text": text[:MAX_TEXT]}


def _pack_integer(value: int) -> Any:
    if abs(value) < 2**63:
        return value
    if value.bit_length() > _DIGITS * 3:
        raise BadAnswer(f"is an integer of about {int(value.bit_length() * 0.30103):,} digits")
    return {"integer": str(value)}


def _pack_array(array: np.ndarray, owner: str) -> Any:
    if array.dtype.kind not in _CARRIED:
        return {"object": f"array of {array.dtype}"}
    if array.nbytes > MAX_ARRAY_BYTES:
        raise BadAnswer(f"is an array of {array.nbytes / 2**20:.0f} MiB; at most {MAX_ARRAY_BYTES >> 20} are read")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return {"array": base64.b64encode(buffer.getvalue()).decode("ascii"), "of": owner}


def _read_npy(text: str) -> np.ndarray:
    """The array in base64 .npy `text`, after checking its header against the bytes that follow."""
    if len(text) > MAX_ARRAY_BYTES * 4 // 3 + 8192:
        raise BadAnswer(f"is an array of more than {MAX_ARRAY_BYTES >> 20} MiB")
    try:
        buffer = io.BytesIO(base64.b64decode(text, validate=True))
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    except Exception as error:  # a forged header can make numpy raise anything
        raise BadAnswer("is an array that cannot be read") from error
    body = buffer.read()
    if dtype.kind not in _CARRIED or len(shape) > 32 or min(shape, default=0) < 0:
        raise BadAnswer("is an array that cannot be read")
    if math.prod(shape) * dtype.itemsize != len(body):
        raise BadAnswer("is an array whose size contradicts its shape")
    try:
        return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C").copy()
    except (TypeError, ValueError) as error:  # lengths that are not integers, or huge ones beside a 0
        raise BadAnswer("is an array that cannot be read") from error


def _check_length(items: Any) -> None:
    if len(items) > MAX_ITEMS:
        raise BadAnswer(f"holds {len(items):,} values; at most {MAX_ITEMS:,} are read")
