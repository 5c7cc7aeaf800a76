"""A function to write: hidden inputs go to the learner's kernel, outcomes come back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

from autograde.answers.forms import NotAnswered, describe
from autograde.answers.outcomes import bare, outcome_difference, outcomes, returning, rounded
from autograde.answers.serialize import BadAnswer, pack
from autograde.exercises.base import BEGIN, END, BadKey, Exercise, Misconception, line_in_key
from autograde.exercises.examples import problems_of_examples
from autograde.exercises.source import source_of, split_at_docstring, standalone
from autograde.exercises.verdict import Status, Verdict

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Cases = Sequence[Arguments] | Callable[[random.Random], Sequence[Arguments]]


@dataclass(frozen=True, eq=False)
class Code(Exercise):
    """A function to write. The learner sees `examples`; `checks` are hidden, each one a share of the points.

    The first check is the main one: if it fails, the others earn nothing.
    The learner starts from the reference's signature and docstring. Decorate other right solutions with
    `@exercise.alternative`, wrong ones with `@exercise.misconception(name, message)`.
    """

    _: KW_ONLY
    reference: Function
    examples: Sequence[Arguments]
    checks: Mapping[str, Cases]
    tolerance: float = 1e-5
    alternatives: list[Function] = field(default_factory=list)
    misconceptions: list[Misconception] = field(default_factory=list)
    kind = "code"
    runs_code = True
    fewest_misconceptions = 10
    fewest_alternatives = 2

    @property
    def variable(self) -> str:
        return self.reference.__name__

    def alternative(self, function: Function) -> Function:
        """Declare another right solution: a decorator."""
        self.alternatives.append(function)
        return function

    def misconception(self, name: str, message: str) -> Callable[[Function], Function]:
        """Declare a wrong function, with the name of its misconception and the message that helps: a decorator."""
        line = line_in_key()

        def declare(function: Function) -> Function:
            self.misconceptions.append(Misconception(name, function, message, line))
            return function

        return declare

    # What functions do with the inputs

    @cached_property
    def cases(self) -> list[tuple[str, Any]]:
        """(name of the check, packed arguments) for every hidden case; the same in every run."""
        generator = random.Random(self.id)
        return [
            (name, pack(arguments))
            for name, listed in self.checks.items()
            for arguments in (listed(generator) if callable(listed) else listed)
        ]

    @cached_property
    def packed_examples(self) -> list[Any]:
        return [pack(arguments) for arguments in self.examples]

    @cached_property
    def expected(self) -> list[dict[str, Any]]:
        return self.run(self.reference)

    @cached_property
    def expected_of_examples(self) -> list[dict[str, Any]]:
        return self._seen(self.reference)

    @cached_property
    def wrong_outcomes(self) -> list[list[dict[str, Any]]]:
        return [self.run(wrong.answer) for wrong in self.misconceptions]

    def _seen(self, function: Function) -> list[dict[str, Any]]:
        """Its outcomes on the examples."""
        return bare(outcomes(function, self.packed_examples))

    def run(self, function: Function) -> list[dict[str, Any]]:
        """The outcomes of `function` on all hidden cases."""
        return outcomes(function, [arguments for _, arguments in self.cases])

    def passes_examples(self, function: Function) -> bool:
        """Whether a learner who wrote this would get a tick."""
        return self._alike(self.expected_of_examples, outcomes(function, self.packed_examples))

    def _alike(self, some: list[Any], others: list[Any]) -> bool:
        return not any(outcome_difference(a, b, self.tolerance) for a, b in zip(some, others, strict=True))

    # In the notebook

    def instruction(self) -> str:
        return "Write the function; the cell below tries it on examples, grading on others too."

    def solution(self) -> str:
        return source_of(self.reference, self.variable)

    def answer_source(self) -> str:
        try:
            head, body = split_at_docstring(self.solution())
        except ValueError:
            raise BadKey(f"{self.id}: its reference has no docstring, and the learner would see none") from None
        return "\n".join([*head, f"    {BEGIN}", *body, f"    {END}"])

    # In exercises.json

    def entry(self) -> dict[str, Any]:
        return {
            "tolerance": self.tolerance,
            "examples": self.packed_examples,
            "expected": self.expected_of_examples,
        }

    def replies(self) -> Iterator[tuple[Any, bool, str]]:
        """An answer is what a function gives on the examples."""
        expected = self.expected_of_examples
        yield rounded(expected), True, self.fill(self.why)
        yield rounded(returning(expected, expected)), False, "Every value is right. Now raise what is asked for."
        for wrong in self.misconceptions:
            seen = self._seen(wrong.answer)
            yield rounded(seen), False, self.fill(wrong.message)
            # what it gives before it raises
            yield rounded(returning(expected, seen)), False, self.fill(wrong.message)

    # In grading

    def request(self, expression: str = "") -> str:
        cases = json.dumps([arguments for _, arguments in self.cases])
        return f"{super().request(expression).replace('of_value', 'of_calls').removesuffix(')')}, {cases!r})"

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
        main = next(iter(self.checks))
        share = 0.0 if main in failed else 1 - len(failed) / len(self.checks)
        wrong = self._recognise(results)
        if wrong is not None:
            return self._verdict(Status.PARTLY if share else Status.MISCONCEPTION, wrong.message, share, wrong.name)
        check, problem = next(iter(failed.items()))
        passed = f"{len(self.checks) - len(failed)} of {len(self.checks)} checks pass"
        message = f"{passed}. The first that fails is “{check}”: {problem}."
        return self._verdict(Status.PARTLY if share else Status.WRONG, message, share)

    def _recognise(self, results: list[Any]) -> Misconception | None:
        """The wrong function that does the same: on all cases, else on those where the reference returns a value."""
        pairs = list(zip(self.misconceptions, self.wrong_outcomes, strict=True))
        for wrong, seen in pairs:
            if self._alike(seen, results):
                return wrong
        values = returning(self.expected, results)
        if not self._alike(returning(self.expected, self.expected), values):
            for wrong, seen in pairs:
                if self._alike(returning(self.expected, seen), values):
                    return wrong
        return None

    # For simulated students, and for checking the key

    def right_source(self, generator: random.Random) -> str:
        """Any of the right solutions."""
        return standalone(generator.choice([self.reference, *self.alternatives]), self.variable)

    def wrong_source(self, misconception: Misconception) -> str:
        return standalone(misconception.answer, self.variable)

    def problems(self) -> Iterator[tuple[int, str]]:
        yield from super().problems()
        if len(self.alternatives) < self.fewest_alternatives:
            found, least = len(self.alternatives), self.fewest_alternatives
            yield self.line, f"it has {found} other right solutions; expected at least {least} (@{self.id}.alternative)"
        for function in self.alternatives:
            if not self._alike(self.expected, self.run(function)):
                yield function.__code__.co_firstlineno, "this other solution fails a hidden check"
        told = {_text(canonical): text for canonical, _, text in reversed(list(self.replies()))}
        for wrong, seen in zip(self.misconceptions, self.wrong_outcomes, strict=True):
            verdict = self._mark_outcomes(seen)
            if verdict.status is Status.RIGHT:
                yield wrong.line, f"{wrong.name!r} passes every hidden check: add one that it fails"
            elif verdict.misconception != wrong.name:
                yield wrong.line, f"{wrong.name!r} does what {verdict.misconception!r} does: add a check that differs"
            elif self.passes_examples(wrong.answer):
                yield wrong.line, f"{wrong.name!r} passes every example and gets a tick: add an example that it fails"
            elif (text := told[_text(rounded(self._seen(wrong.answer)))]) != wrong.message:
                yield wrong.line, f"{wrong.name!r} gets the message {text!r} on the examples; add one where it differs"
        hidden = [arguments for _, arguments in self.cases]
        for problem in problems_of_examples(self.reference, self.examples, hidden, self.expected):
            yield self.line, problem


def _text(canonical: Any) -> str:
    return json.dumps(canonical, sort_keys=True)
