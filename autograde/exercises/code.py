"""Exercises whose answer is a function: hidden inputs go to the learner's kernel, outcomes come back."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

from autograde.answers.forms import NotAnswered, describe
from autograde.answers.outcomes import outcome_difference, outcomes, returning
from autograde.answers.serialize import BadAnswer, pack
from autograde.exercises.base import Exercise, Misconception
from autograde.exercises.verdict import Status, Verdict

Arguments = tuple[Any, ...]
Cases = Sequence[Arguments] | Callable[[random.Random], Sequence[Arguments]]


@dataclass(frozen=True, eq=False)
class Code(Exercise):
    """A function to write. The learner sees `examples`; `checks` are hidden, each one a share of the points.

    The first check is the heart of the exercise: without it the others earn nothing.
    The reference's signature and docstring are what the learner starts from. Decorate other right solutions with
    `@exercise.alternative`, wrong ones with `@exercise.misconception(name, message)`.
    """

    _: KW_ONLY
    reference: Callable[..., Any]
    examples: Sequence[Arguments]
    checks: Mapping[str, Cases]
    tolerance: float = 1e-5
    alternatives: list[Callable[..., Any]] = field(default_factory=list)
    misconceptions: list[Misconception] = field(default_factory=list)
    kind = "code"

    @property
    def variable(self) -> str:
        return self.reference.__name__

    def alternative(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.alternatives.append(function)
        return function

    def misconception(self, name: str, message: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            self.misconceptions.append(Misconception(name, function, message))
            return function

        return declare

    @cached_property
    def cases(self) -> list[tuple[str, Any]]:
        """(name of the check, packed arguments) for every hidden case; the same in every run."""
        dice = random.Random(self.id)
        return [
            (name, pack(arguments))
            for name, listed in self.checks.items()
            for arguments in (listed(dice) if callable(listed) else listed)
        ]

    @cached_property
    def expected(self) -> list[dict[str, Any]]:
        return self.run(self.reference)

    @cached_property
    def misconception_outcomes(self) -> list[list[dict[str, Any]]]:
        return [self.run(misconception.answer) for misconception in self.misconceptions]

    def run(self, function: Callable[..., Any]) -> list[dict[str, Any]]:
        """The outcomes of `function` on all hidden cases."""
        return outcomes(function, [arguments for _, arguments in self.cases])

    def _mark_value(self, value: Any) -> Verdict:
        if value is ...:
            raise NotAnswered("is not answered yet: write the function in place of the dots")
        raise BadAnswer(f"is {describe(value)}; expected a function")

    def _mark_outcomes(self, results: list[Any]) -> Verdict:
        if len(results) != len(self.cases):
            raise BadAnswer("did not answer every call")
        if all(result == {"value": {"blank": True}} for result in results):
            raise NotAnswered("is not answered yet: write its body in place of the dots")
        failed: dict[str, str] = {}
        for (check, _), expected, got in zip(self.cases, self.expected, results, strict=True):
            problem = outcome_difference(expected, got, self.tolerance)
            if problem:
                failed.setdefault(check, problem)
        if not failed:
            return self._verdict(Status.RIGHT, self.why or "Right on every check.", share=1.0)
        heart = next(iter(self.checks))
        share = 0.0 if heart in failed else 1 - len(failed) / len(self.checks)
        misconception = self._misconception(results)
        if misconception is not None:
            return self._verdict(
                Status.PARTLY if share else Status.MISCONCEPTION, misconception.message, share, misconception.name
            )
        check, problem = next(iter(failed.items()))
        passed = f"{len(self.checks) - len(failed)} of {len(self.checks)} checks pass"
        message = f"{passed}. The first that fails is “{check}”: {problem}."
        return self._verdict(Status.PARTLY if share else Status.WRONG, message, share)

    def _misconception(self, results: list[Any]) -> Misconception | None:
        """The wrong function that does the same: on all cases, else on those where the reference returns a value."""
        pairs = list(zip(self.misconceptions, self.misconception_outcomes, strict=True))
        for misconception, wrong in pairs:
            if self._alike(wrong, results):
                return misconception
        plain = returning(self.expected, results)
        if not self._alike(returning(self.expected, self.expected), plain):
            for misconception, wrong in pairs:
                if self._alike(returning(self.expected, wrong), plain):
                    return misconception
        return None

    def _alike(self, some: list[Any], others: list[Any]) -> bool:
        return not any(outcome_difference(a, b, self.tolerance) for a, b in zip(some, others, strict=True))
