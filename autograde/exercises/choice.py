"""One option to choose of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from autograde.answers import forms
from autograde.exercises.base import BadKey, Misconception
from autograde.exercises.plain import Plain


@dataclass(frozen=True, eq=False)
class Choice(Plain):
    """One option of several. `options` maps each option's text to None (the right one) or to its message."""

    _: KW_ONLY
    options: Mapping[str, str | None]
    answer: Any = None
    kind = "choice"

    def __post_init__(self) -> None:
        super().__post_init__()
        right = [number for number, message in enumerate(self.options.values(), start=1) if message is None]
        if len(right) != 1:
            raise BadKey(f"{self.id}: {len(right)} right options; expected exactly one with message None")
        object.__setattr__(self, "answer", right[0])
        wrong = [
            Misconception(text, number, message, self.line)
            for number, (text, message) in enumerate(self.options.items(), start=1)
            if message is not None
        ]
        object.__setattr__(self, "misconceptions", tuple(wrong))

    @property
    def form(self) -> forms.Form:
        return forms.option(len(self.options))

    def body(self) -> str:
        return "\n".join(f"{number}. {text}" for number, text in enumerate(self.options, start=1))

    def instruction(self) -> str:
        return "Answer with the number of one option."
