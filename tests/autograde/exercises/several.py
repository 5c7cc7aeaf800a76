"""A fifth kind of exercise, in one file: all options that apply, such as [1, 3]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from autograde.answers import forms
from autograde.exercises import Plain


@dataclass(frozen=True, eq=False)
class Several(Plain):
    """Every option that applies. `options` maps each option's text to whether it does; order does not matter."""

    _: KW_ONLY
    options: Mapping[str, bool]
    answer: Sequence[int] = ()
    kind = "several"

    def __post_init__(self) -> None:
        super().__post_init__()
        right = [number for number, applies in enumerate(self.options.values(), start=1) if applies]
        object.__setattr__(self, "answer", right)

    @property
    def form(self) -> forms.Form:
        return forms.list_of(forms.option(len(self.options)), ordered=False)

    def body(self) -> str:
        return "\n".join(f"{number}. {text}" for number, text in enumerate(self.options, start=1))

    def instruction(self) -> str:
        return "Answer with a list of the numbers that apply."

    def nearly(self) -> Iterator[tuple[Any, str]]:
        for number in self.answer:
            yield [other for other in self.answer if other != number], "These apply, and one more."
