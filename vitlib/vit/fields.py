"""One check for every configuration: each field has its stated type and a value in its range."""

from collections.abc import Mapping
from dataclasses import fields
from math import isfinite
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from vitlib.vit.checks import require_one_of

LEAST = {"num_classes": 0, "reg_tokens": 0}  # of whole numbers; of all others 1
PROBABILITIES = ("dropout", "drop_path_rate")
POSITIVE = ("mlp_ratio", "std")
NOT_NEGATIVE = ("eps", "head_eps")
PAIR = tuple[int, int]


def pair_of(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width, from one side or from both."""
    return (size, size) if isinstance(size, int) else size


def side_of(patch: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """A square patch as its side, any other as it is: one way to write each."""
    return patch[0] if isinstance(patch, tuple) and len(set(patch)) == 1 else patch


def fitted_statistics(known: Mapping[str, Any], in_chans: int) -> dict[str, Any]:
    """Fields with a `mean` and a `std` for pictures of `in_chans` channels: averages, where they are those of others.

    >>> fitted_statistics({"mean": (0.25, 0.5, 0.75), "std": (0.5,)}, in_chans=1)
    {'mean': (0.5,), 'std': (0.5,)}
    """
    fit = dict(known)
    for name in ("mean", "std"):
        if name in fit and len(fit[name]) not in (1, in_chans):
            fit[name] = (sum(fit[name]) / len(fit[name]),)
    return fit


def check_fields(config: Any) -> None:
    """Check a configuration's fields by their types. Lists become tuples, and one side of a picture becomes two.

    Errors: TypeError for a value of another kind, ValueError for one out of range; both name field, value and range.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, list):
            value = tuple(value)
        if field.type == PAIR and _fits(value, int):
            value = (value, value)
        object.__setattr__(config, field.name, value)
        _check(field.name, value, field.type)
    for name in ("mean", "std"):
        values = getattr(config, name)
        if len(values) not in (1, config.in_chans):
            expected = "one number" if config.in_chans == 1 else f"1, or {config.in_chans}, one a channel"
            raise ValueError(f"{name} has {len(values)} numbers: expected {expected}")


def _check(name: str, value: Any, kind: Any) -> None:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        require_one_of(name, value, inner)
    elif origin is UnionType:  # one kind or another, or None
        if value is None and type(None) in inner:
            return
        others = [each for each in inner if each is not type(None)]
        _check(
            name,
            value,
            next((each for each in others if isinstance(value, tuple) and get_origin(each) is tuple), others[0]),
        )
    elif origin is tuple:
        if not isinstance(value, tuple) or (... not in inner and len(value) != len(inner)):
            many = "several" if ... in inner else "two"
            expected = 'words, such as ("cat", "dog")' if inner[0] is str else f"{many} numbers, such as (16, 16)"
            raise TypeError(f"{name} is {value!r}: expected {expected}")
        if not value and name not in ("class_names",):
            raise ValueError(f"{name} is {value!r}: expected at least one number")
        for each in value:
            _check(name, each, inner[0])
    elif not _fits(value, kind):
        words = {int: "a whole number", float: "a number", bool: "True or False", str: "words"}[kind]
        raise TypeError(f"{name} is {value!r} ({type(value).__name__}): expected {words}")
    elif kind is int and value < LEAST.get(name, 1):
        raise ValueError(f"{name} is {value}: expected at least {LEAST.get(name, 1)}")
    elif kind is float:
        _check_range(name, value)


def _fits(value: Any, kind: type) -> bool:
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return isinstance(value, kind)


def _check_range(name: str, value: float) -> None:
    if name in PROBABILITIES and not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}: expected a probability, 0 to 1")
    if name in POSITIVE and not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}: expected more than 0")
    if name in NOT_NEGATIVE and not 0 <= value < float("inf"):
        raise ValueError(f"{name} is {value}: expected 0 or more, such as 1e-6")
    if not isfinite(value):
        raise ValueError(f"{name} is {value}: expected a finite number")
