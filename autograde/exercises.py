"""The four kinds of exercise, as a chapter's key declares them: the answer, its slips, and how a reply is marked.

This module is the teacher's. It never enters a learner's process: replies come here as data (`autograde.wire`).
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from autograde.forms import NotAnswered, describe, last_places, read_number, read_option, read_truth
from autograde.outcomes import outcome_difference, outcomes
from autograde.verdict import Status, Verdict
from autograde.wire import BadAnswer, pack, unpack_plain


class BadKey(ValueError):
    """A key that contradicts itself; the text names the exercise and the remedy."""


@dataclass(frozen=True)
class Slip:
    """A wrong answer that learners give for a reason, and the message that helps them."""

    name: str  # "forgot to square"
    answer: Any  # a value, or a function of the exercise's `given` numbers
    message: str


@dataclass(frozen=True, eq=False)
class Exercise:
    """What all kinds share. `prompt`, `hints`, `why` and messages are Markdown; `{name}` stands for a given number."""

    id: str  # "patch-tokens"; the learner's variable is patch_tokens
    _: KW_ONLY
    title: str
    prompt: str
    points: float = 1.0
    difficulty: int = 1  # 1 to 3 stars
    minutes: int = 1  # that a learner should need
    hints: Sequence[str] = ()  # from a nudge to nearly the answer, unfolded one by one
    why: str = ""  # the way to the answer, shown with the mark
    given: Mapping[str, Any] = field(default_factory=dict)  # the numbers of the prompt

    kind: ClassVar[str]
    slips: Sequence[Slip]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.id):
            raise BadKey(f"exercise id {self.id!r}: expected lower-case words joined by hyphens, such as patch-tokens")
        if self.points <= 0:
            raise BadKey(f"{self.id}: {self.points} points; expected more than 0")

    @property
    def variable(self) -> str:
        """The name that the learner's answer has in the notebook."""
        return self.id.replace("-", "_")

    def fill(self, text: str) -> str:
        """`text` with the given numbers in place; other braces (LaTeX has many) stay."""
        return re.sub(r"\{(\w+)\}", lambda match: str(self.given.get(match[1], match[0])), text)

    def value(self, answer: Any) -> Any:
        """An answer or slip of the key as a value: called with the given numbers if it is a formula."""
        return answer(**self.given) if callable(answer) else answer

    def mark(self, parcel: Any) -> Verdict:
        """The verdict on what a kernel sent: `{"answer": …}`, `{"refused": …}` or, for functions, `{"outcomes": …}`."""
        try:
            match parcel:
                case {"refused": str(reason)}:
                    raise BadAnswer(reason[:300])
                case {"answer": data}:
                    return self._mark_value(unpack_plain(data))
                case {"outcomes": list(results)}:
                    return self._mark_outcomes(results)
            raise BadAnswer("did not arrive in a form that can be read")
        except NotAnswered as error:
            return self._verdict(Status.BLANK, f"`{self.variable}` {error}.")
        except BadAnswer as error:
            return self._verdict(Status.FORM, f"`{self.variable}` {error}.")

    def lost(self, reason: str) -> Verdict:
        """The verdict where no answer arrived at all."""
        return self._verdict(Status.LOST, reason)

    def _mark_value(self, value: Any) -> Verdict:
        raise BadAnswer(f"is {describe(value)}, which is no answer to this exercise")

    def _mark_outcomes(self, results: list[Any]) -> Verdict:
        raise BadAnswer("is a function; expected a plain value")

    def _verdict(self, status: Status, message: str, share: float = 0.0, slip: str = "") -> Verdict:
        return Verdict(self.id, status, round(self.points * share, 2), self.points, self.fill(message), slip)


@dataclass(frozen=True, eq=False)
class Plain(Exercise, ABC):
    """An exercise whose answer is one number: what Numeric, TrueFalse and Choice have in common."""

    _: KW_ONLY
    answer: Any
    slips: Sequence[Slip] = ()

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
        for slip in self.slips:
            if self.same(self.read(self.value(slip.answer)), reply):
                return self._verdict(Status.SLIP, slip.message, slip=slip.name)
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

    def same(self, key: Any, reply: Any) -> bool:
        return bool(abs(key - reply) <= 1) if self.decimals is not None else bool(key == reply)


@dataclass(frozen=True, eq=False)
class TrueFalse(Plain):
    """A statement that is true (1) or false (0); `slip` is said to those who think otherwise."""

    _: KW_ONLY
    slip: str
    kind = "truefalse"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "slips", (Slip("thought otherwise", not self.answer, self.slip),))

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
        slips = tuple(Slip(text, n, message) for n, (text, message) in numbered if message is not None)
        object.__setattr__(self, "slips", slips)

    def read(self, value: Any) -> Any:
        return read_option(value, len(self.options))


Arguments = tuple[Any, ...]
Cases = Sequence[Arguments] | Callable[[random.Random], Sequence[Arguments]]


@dataclass(frozen=True, eq=False)
class Code(Exercise):
    """A function to write. The learner sees `examples`; `checks` are hidden, each one a share of the points.

    The first check is the heart of the exercise: without it the others earn nothing.
    The reference's signature and docstring are what the learner starts from. Decorate other right solutions with
    `@exercise.alternative`, wrong ones with `@exercise.slip(name, message)`.
    """

    _: KW_ONLY
    reference: Callable[..., Any]
    examples: Sequence[Arguments]
    checks: Mapping[str, Cases]
    tolerance: float = 1e-5
    alternatives: list[Callable[..., Any]] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)
    kind = "code"

    @property
    def variable(self) -> str:
        return self.reference.__name__

    def alternative(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.alternatives.append(function)
        return function

    def slip(self, name: str, message: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            self.slips.append(Slip(name, function, message))
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
    def slip_outcomes(self) -> list[list[dict[str, Any]]]:
        return [self.run(slip.answer) for slip in self.slips]

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
        for slip, wrong in zip(self.slips, self.slip_outcomes, strict=True):
            if not any(outcome_difference(w, got, self.tolerance) for w, got in zip(wrong, results, strict=True)):
                return self._verdict(Status.PARTLY if share else Status.SLIP, slip.message, share, slip.name)
        check, problem = next(iter(failed.items()))
        passed = f"{len(self.checks) - len(failed)} of {len(self.checks)} checks pass"
        message = f"{passed}. The first that fails is “{check}”: {problem}."
        return self._verdict(Status.PARTLY if share else Status.WRONG, message, share)
