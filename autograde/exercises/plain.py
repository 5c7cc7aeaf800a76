"""Exercises whose answer is a value: a number, an option, a list of them.

Such a kind names the form of its answers (`autograde.answers.forms`); reading, marking and the sheet follow from it.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from autograde.answers import forms
from autograde.answers.sheet import pick
from autograde.answers.single import single
from autograde.exercises.base import BadKey, Exercise, Misconception, Text
from autograde.exercises.verdict import Status, Verdict


@dataclass(frozen=True)
class Response:
    """What is said to one answer."""

    status: Status
    message: Text
    misconception: str = ""  # its name


@dataclass(frozen=True, eq=False)
class Plain(Exercise):
    """An exercise whose answer is a value. With `parameter_values`, each student gets parameters of their own."""

    _: KW_ONLY
    answer: Any  # a value, or a function of the parameters
    misconceptions: Sequence[Misconception] = ()
    parameter_values: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # that parameters may take
    valid_if: Callable[..., bool] = lambda **parameters: True  # whether a combination makes sense

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := self.parameter_values.keys() - self.parameters.keys():
            raise BadKey(f"{self.id}: parameter_values has {', '.join(sorted(unknown))}, which parameters lacks")

    @property
    @abstractmethod
    def form(self) -> forms.Form:
        """The form of an answer, as data."""

    def accepted(self, value: Any) -> list[Any]:
        """The canonical forms that count as `value`; the first is its own."""
        return [self.read(value)]

    def nearly(self) -> Iterator[tuple[Any, str]]:
        """Answers that are wrong for a small reason, in their canonical forms, and what is said to them."""
        yield from ()

    @cached_property
    def variants(self) -> list[Plain]:
        """Variants whose parameters are valid, and whose answer and misconceptions all differ."""
        found = []
        if self.parameter_values:
            for values in product(*self.parameter_values.values()):
                parameters = {**self.parameters, **dict(zip(self.parameter_values, values, strict=True))}
                if self.valid_if(**parameters):
                    variant = replace(self, parameters=parameters, parameter_values={}, personal=True)
                    if variant.all_differ():
                        found.append(variant)
        return found

    def all_differ(self) -> bool:
        """Whether the answer and the misconceptions all differ."""
        return not any(self._collisions())

    def of(self, student: str) -> Plain:
        return self.variants[pick(student, self.id, len(self.variants))] if self.parameter_values else self

    def value(self, answer: Any) -> Any:
        """An answer of the key as a value: called with the parameters if it is a formula."""
        value = answer(**self.parameters) if callable(answer) else answer
        return value.item() if isinstance(value, np.generic) else value  # a notebook may not know numpy

    def read(self, value: Any) -> Any:
        """The canonical form of an answer."""
        return forms.read(self.form, value)

    @cached_property
    def right(self) -> Any:
        return self.read(self.value(self.answer))

    def shown(self) -> str:
        """The answer as it is in the instructor's notebook."""
        return repr(self.value(self.answer))

    def solution(self) -> str:
        return f"{self.variable} = {self.shown()}"

    def wrong_source(self, misconception: Misconception) -> str:
        return f"{self.variable} = {self.value(misconception.answer)!r}"

    def entry(self) -> dict[str, Any]:
        return {"form": self.form}

    def replies(self) -> Iterator[tuple[Any, bool, str]]:
        for canonical, response in self._responses:
            yield canonical, response.status is Status.RIGHT, self.fill(response.message)

    @cached_property
    def _responses(self) -> list[tuple[Any, Response]]:
        """What is said to each answer that the key knows, by canonical form; the first entry for an answer counts."""
        right = Response(Status.RIGHT, self.why or "Right.")
        found = [(canonical, right) for canonical in self.accepted(self.value(self.answer))]
        for wrong in self.misconceptions:
            response = Response(Status.MISCONCEPTION, wrong.message, wrong.name)
            found += [(canonical, response) for canonical in self.accepted(self.value(wrong.answer))]
        found += [(canonical, Response(Status.WRONG, message)) for canonical, message in self.nearly()]
        return found

    @cached_property
    def _response_to(self) -> dict[str, Response]:
        return {json.dumps(canonical): response for canonical, response in reversed(self._responses)}

    def _mark_value(self, value: Any) -> Verdict:
        for canonical in forms.readings(self.form, value):
            if response := self._response_to.get(json.dumps(canonical)):
                share = 1.0 if response.status is Status.RIGHT else 0.0
                return self._verdict(response.status, response.message, share, response.misconception)
        return self._verdict(Status.WRONG, f"{forms.describe(single(value))} is not the answer.")

    def _collisions(self) -> Iterator[tuple[Misconception, str]]:
        """Misconceptions that are the answer, or another misconception, within what is accepted."""
        taken = {json.dumps(canonical): "the answer" for canonical in self.accepted(self.value(self.answer))}
        for wrong in self.misconceptions:
            value = self.value(wrong.answer)
            if other := taken.get(json.dumps(self.read(value))):
                yield wrong, other
            for canonical in self.accepted(value):
                taken.setdefault(json.dumps(canonical), f"the misconception {wrong.name!r}")

    def problems(self) -> Iterator[tuple[int, str]]:
        yield from super().problems()
        for wrong, other in self._collisions():
            yield wrong.line, f"the misconception {wrong.name!r} has the same value as {other}: change or remove it"
        if self.parameter_values and not self.variants:
            yield self.line, "no combination of parameter_values is valid and keeps the misconceptions apart"
