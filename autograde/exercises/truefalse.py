"""A statement to judge."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from autograde.answers import forms
from autograde.exercises.base import Misconception, Text
from autograde.exercises.plain import Plain


@dataclass(frozen=True, eq=False)
class TrueFalse(Plain):
    """A statement that is true (1) or false (0); `misconception` is said to those who think otherwise."""

    _: KW_ONLY
    misconception: Text
    kind = "truefalse"

    def __post_init__(self) -> None:
        super().__post_init__()
        wrong = Misconception("thought otherwise", not self.answer, self.misconception, self.line)
        object.__setattr__(self, "misconceptions", (wrong,))

    @property
    def form(self) -> forms.Form:
        return forms.truth()

    def instruction(self) -> str:
        return "Answer 1 for true, 0 for false."

    def shown(self) -> str:
        return str(int(self.answer))
