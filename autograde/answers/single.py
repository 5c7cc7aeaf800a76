"""One number: what a cell computes is often a tensor of one element, and sometimes a fraction or a decimal."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np

from autograde.answers.serialize import MAX_DIGITS, Named


def single(value: Any) -> Any:
    """The plain number that a tensor or array of one element, a fraction or a decimal is; anything else as it is.

    A float of low precision gets the fewest digits that tell it from its neighbours: 0.1 in float32 is 0.1.

    >>> single(np.array([0.1], dtype="float32")), single(Named("fractions.Fraction", "1/4")), single("1/4")
    (0.1, 0.25, '1/4')
    """
    match value:
        case np.ndarray() if value.size == 1 and value.dtype.kind in "biuf":
            number = value.reshape(-1)[0]
            return float(str(number)) if value.dtype.kind == "f" else number.item()
        case Named("fractions.Fraction" | "decimal.Decimal", text):
            number = _read_decimal(text)
            return value if number is None else number
    return value


def _read_decimal(text: str) -> int | float | None:
    """The number that a fraction's or a decimal's text says; None where it says none, or may have been forged."""
    if re.fullmatch(rf"-?\d{{1,{MAX_DIGITS}}}(/\d{{1,{MAX_DIGITS}}})?", text, re.ASCII):
        above, _, below = text.partition("/")
        try:
            return int(above) / int(below) if below else int(above)
        except (ZeroDivisionError, OverflowError):
            return None
    try:
        number = Decimal(text)
        is_whole = number.is_finite() and number.adjusted() < MAX_DIGITS and number == number.to_integral_value()
        return int(number) if is_whole else float(number)
    except (ArithmeticError, ValueError):
        return None
