"""Answers as data, as they travel from a learner's process to the grader.

`pack` turns any Python value into plain data that JSON can carry; arrays and tensors travel as .npy bytes.
`unpack`, in `autograde.answers.deserialize`, turns that data back into values. Nothing is ever pickled, so reading an
answer runs no code of the learner's.

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
import sys
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

MAX_ARRAY_BYTES = 64 * 2**20
MAX_TEXT = 10_000  # characters
MAX_ITEMS = 10_000  # values in one list
MAX_DEPTH = 20
CARRIED = "biufc"  # kinds of arrays: truth values, integers, floats and complex numbers
MAX_DIGITS = 4_000  # of an integer: Python itself refuses to print more than 4300


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
            check_length(value)
            return [pack(item, depth + 1) for item in value]
        case dict():
            check_length(value)
            return {"items": [[pack(key, depth + 1), pack(item, depth + 1)] for key, item in value.items()]}
        case np.ndarray():
            return _pack_array(value, "numpy")
        case np.floating():  # by its digits: 0.1 in float32 is 0.1
            return pack(float(str(value)))
        case np.complexfloating():
            return pack(complex(value))
        case np.generic() if value.dtype.kind in "biuSU":
            return pack(value.item(), depth)
        case complex():
            return {"complex": [pack(value.real), pack(value.imag)]}
        case bytes() | bytearray():
            if len(value) > MAX_TEXT:
                raise BadAnswer(f"is {len(value):,} bytes; at most {MAX_TEXT:,} are read")
            return {"bytes": base64.b64encode(value).decode("ascii")}
        case set() | frozenset():
            check_length(value)
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
    elif isinstance(value, Integral):  # of sympy, say
        return _pack_integer(int(value))
    elif isinstance(value, Real):
        return pack(float(value))
    else:
        return {"object": type(value).__name__[:100]}
    return {"named": kind, "text": text[:MAX_TEXT]}


def _pack_integer(value: int) -> Any:
    if abs(value) < 2**63:
        return value
    if value.bit_length() > MAX_DIGITS * 3:
        raise BadAnswer(f"is an integer of about {int(value.bit_length() * 0.30103):,} digits")
    return {"integer": str(value)}


def _pack_array(array: np.ndarray, owner: str) -> Any:
    if array.dtype.kind not in CARRIED:
        return {"object": f"array of {array.dtype}"}
    if array.nbytes > MAX_ARRAY_BYTES:
        raise BadAnswer(f"is an array of {array.nbytes / 2**20:.0f} MiB; at most {MAX_ARRAY_BYTES >> 20} are read")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return {"array": base64.b64encode(buffer.getvalue()).decode("ascii"), "of": owner}


def check_length(items: Any) -> None:
    if len(items) > MAX_ITEMS:
        raise BadAnswer(f"holds {len(items):,} values; at most {MAX_ITEMS:,} are read")
