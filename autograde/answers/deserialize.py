"""Answers back from data: what `pack` made, as values again. Whoever sent the data may have forged any of it."""

from __future__ import annotations

import base64
import io
import math
import re
from typing import Any

import numpy as np

from autograde.answers.serialize import (
    CARRIED,
    MAX_ARRAY_BYTES,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_TEXT,
    BadAnswer,
    Named,
    Opaque,
    check_length,
)


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
            check_length(data)
            return [_unpack(item, tensors, depth + 1) for item in data]
        case {"array": str(text), "of": "torch" | "numpy" as owner}:
            array = _read_npy(text)
            if tensors and owner == "torch":
                import torch

                return torch.from_numpy(array)
            return array
        case {"float": "nan" | "inf" | "-inf" as name}:
            return float(name)
        case {"integer": str(digits)} if len(digits) <= MAX_DIGITS and re.fullmatch("-?[0-9]+", digits):
            return int(digits)
        case {"items": list(pairs)}:
            check_length(pairs)
            return _unpack_items(pairs, tensors, depth)
        case {"complex": [real, imaginary]}:
            return complex(_float(real), _float(imaginary))
        case {"bytes": str(text)}:
            return _read_base64(text)
        case {"set": list(items)}:
            check_length(items)
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
    """In a kernel the dtype or device itself, since functions are called with it; elsewhere its name is enough."""
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
    if dtype.kind not in CARRIED or len(shape) > 32 or min(shape, default=0) < 0:
        raise BadAnswer("is an array that cannot be read")
    if math.prod(shape) * dtype.itemsize != len(body):
        raise BadAnswer("is an array whose size contradicts its shape")
    try:
        return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C").copy()
    except (TypeError, ValueError) as error:  # lengths that are not integers, or huge ones beside a 0
        raise BadAnswer("is an array that cannot be read") from error
