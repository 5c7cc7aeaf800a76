"""Exercises whose answer is one number: a count, a truth value, an option of a list."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from itertools import combinations, product
from typing import Any

from autograde.answers.forms import describe, last_places, read_number, read_option, read_truth
from autograde.answers.sheet import pick
from autograde.exercises.base import BadKey, Exercise, Misconception, Text
from autograde.exercises.verdict import Status, Verdict


@dataclass(frozen=True, eq=False)
class Plain(Exercise, ABC):
    """An exercise whose answer is one number: what Numeric, TrueFalse and Choice have in common."""

    _: KW_ONLY
    answer: Any
    misconceptions: Sequence[Misconception] = ()
    parameter_values: Mapping[str, Sequence[Any]] = field(
        default_factory=dict
    )  # other values that given numbers may have
    valid_if: Callable[..., bool] = lambda **given: True  # which combinations of them make sense

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := self.parameter_values.keys() - self.parameters.keys():
            raise BadKey(f"{self.id}: vary names {', '.join(sorted(unknown))}, which given does not")

    @cached_property
    def variants(self) -> list[Plain]:
        """The exercise with each set of numbers that suits and that keeps the answer and all misconceptions apart."""
        found = []
        for values in product(*self.parameter_values.values()):
            given = {**self.parameters, **dict(zip(self.parameter_values, values, strict=True))}
            if self.valid_if(**given):
                variant = replace(self, parameters=given, parameter_values={}, personal=True)
                if variant.tells_apart():
                    found.append(variant)
        return found

    def tells_apart(self) -> bool:
        """Whether the answer and the misconceptions all differ."""
        values = [self.right, *(self.read(self.value(misconception.answer)) for misconception in self.misconceptions)]
        return not any(self.same(one, other) for one, other in combinations(values, 2))

    def of(self, student: str) -> Plain:
        return self.variants[pick(student, self.id, len(self.variants))] if self.parameter_values else self

    @cached_property
    def right(self) -> Any:
        return self.read(self.value(self.answer))

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The canonical form of an answer; two answers are the same if their canonical forms are."""

    def same(self, key: Any, reply: Any) -> bool:
        return bool(key == reply)

    def shown(self) -> str:
        """The answer as it stands in the instructor's notebook."""
        return repr(self.value(self.answer))

    def _mark_value(self, value: Any) -> Verdict:
        reply = self.read(value)
        if self.same(self.right, reply):
            return self._verdict(Status.RIGHT, self.why or "Right.", share=1.0)
        for misconception in self.misconceptions:
            if self.same(self.read(self.value(misconception.answer)), reply):
                return self._verdict(Status.MISCONCEPTION, misconception.message, misconception=misconception.name)
        return self._verdict(Status.WRONG, f"{describe(value)} is not the answer.")


@dataclass(frozen=True, eq=False)
class Numeric(Plain):
    """A number: exact where `decimals` is None, else right within one unit of the last place asked for."""

    _: KW_ONLY
    unit: str = ""
    decimals: int | None = None
    kind = "numeric"

    def read(self, value: Any) -> Any:
        number = read_number(value)
        return number if self.decimals is None else last_places(number, self.decimals)

    def shown(self) -> str:
        right = self.value(self.answer)
        return repr(right if self.decimals is None else round(right, self.decimals))

    def same(self, key: Any, reply: Any) -> bool:
        return bool(abs(key - reply) <= 1) if self.decimals is not None else bool(key == reply)


@dataclass(frozen=True, eq=False)
class TrueFalse(Plain):
    """A statement that is true (1) or false (0); `misconception` is said to those who think otherwise."""

    _: KW_ONLY
    misconception: Text
    kind = "truefalse"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(
            self, "misconceptions", (Misconception("thought otherwise", not self.answer, self.misconception),)
        )

    def read(self, value: Any) -> Any:
        return read_truth(value)

    def shown(self) -> str:
        return str(int(self.answer))


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
        numbered = enumerate(self.options.items(), start=1)
        object.__setattr__(self, "answer", right[0])
        misconceptions = tuple(
            Misconception(text, n, message) for n, (text, message) in numbered if message is not None
        )
        object.__setattr__(self, "misconceptions", misconceptions)

    def read(self, value: Any) -> Any:
        return read_option(value, len(self.options))
