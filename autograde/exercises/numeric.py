"""A number to compute."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

from autograde.answers import forms
from autograde.exercises.plain import Plain


@dataclass(frozen=True, eq=False)
class Numeric(Plain):
    """A whole number where `decimals` is None, else one that is rounded to so many places.

    Where the exact answer has more places, the last one may be off by one: whoever rounds on the way is right, too.
    """

    _: KW_ONLY
    unit: str = ""
    decimals: int | None = None
    kind = "numeric"
    fewest_misconceptions = 3

    @property
    def form(self) -> forms.Form:
        return forms.number(self.decimals, self.unit)

    def instruction(self) -> str:
        of_unit = f" of {self.unit}" if self.unit else ""
        if self.decimals is None:
            return f"Answer with a whole number{of_unit}."
        return f"Answer with a number{of_unit}, to {_places(self.decimals)}."

    def shown(self) -> str:
        right = self.value(self.answer)
        return repr(right if self.decimals is None else round(right, self.decimals))

    def accepted(self, value: Any) -> list[Any]:
        canonical = self.read(value)
        if self.decimals is None or abs(Fraction(value) * 10**self.decimals - canonical) < Fraction(1, 10**6):
            return [canonical]
        return [canonical, canonical - 1, canonical + 1]

    def nearly(self) -> Iterator[tuple[Any, str]]:
        """Rounded too early; a percentage in place of a share, or the other way round."""
        right = self.value(self.answer)
        for places in range(self.decimals or 0):
            exact = Fraction(right) * 10**places
            for rounded in sorted({round(exact), math.floor(exact + Fraction(1, 2))}):  # two where it ends in a half
                if abs(rounded) >= (1 if places else 10):  # with fewer digits it may be right by chance
                    yield {"decimals": places, "rounded": rounded}, f"Right, but give {_places(self.decimals or 0)}."
        if self.unit == "%":
            message = "That is the share, a number from 0 to 1. In per cent it is a hundred times as much."
        elif not self.unit and self.decimals and 0 < right <= 1:
            message = "That is right in per cent. Give the share, a number from 0 to 1: divide by 100."
        else:
            return
        for canonical in self.accepted(right):
            yield {"scaled": canonical}, message

    def problems(self) -> Iterator[tuple[int, str]]:
        yield from super().problems()
        if self.decimals is None and not isinstance(self.right, int):
            yield self.line, f"its answer is {self.right}, no whole number; say to how many decimals, as in decimals=2"


def _places(decimals: int) -> str:
    return f"{decimals} decimal place{'s' * (decimals > 1)}"
