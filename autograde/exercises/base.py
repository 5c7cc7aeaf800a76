"""What all kinds of exercise share: what a learner reads, the points, and the way from a reply to a verdict.

A kind is one class in one file. It says what is in the notebook (`body`, `instruction`, `answer_source`), what the
learner's side knows (`entry`), how a reply is asked for and marked (`request`, `mark`), what a simulated student
writes (`right_source`, `wrong_source`) and which declarations are refused (`problems`).
"""

from __future__ import annotations

import random
import re
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from autograde.answers.deserialize import unpack_plain
from autograde.answers.forms import NotAnswered, describe
from autograde.answers.serialize import BadAnswer
from autograde.errors import AutogradeError
from autograde.exercises.verdict import Status, Verdict

Text = str | Callable[..., str]  # Markdown with `{name}` for a parameter, or a function that makes it from them
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"  # a release leaves out what stands between them


class BadKey(AutogradeError):
    """A key that contradicts itself; the text says where, and what to change."""


def line_in_key() -> int:
    """The line of the key.py that is being executed, for messages; 0 outside of a key."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.endswith("key.py"):
        frame = frame.f_back  # type: ignore[assignment]  # None at the end
    return frame.f_lineno if frame is not None else 0


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that learners give for a known reason, and the message that helps them."""

    name: str  # "forgot to square"
    answer: Any  # a value, or a function: of the parameters, or for Code the wrong function itself
    message: Text
    line: int = field(default_factory=line_in_key, compare=False, repr=False)  # where the key declares it


@dataclass(frozen=True, eq=False)
class Exercise(ABC):
    """What all kinds share. Texts are Markdown, in which `{name}` stands for a parameter."""

    id: str  # "patch-tokens"; the learner's variable is patch_tokens
    _: KW_ONLY
    title: str
    prompt: Text
    points: float = 1.0  # 0 for practice
    bonus: bool = False  # whether its points come on top of the chapter's maximum
    difficulty: int = 1  # 1 to 3 stars
    minutes: int = 1  # that a learner should need
    hints: Sequence[Text] | None = ()  # from a nudge to nearly the answer, unfolded one by one; None: an exam has none
    why: Text = ""  # the way to the answer, shown with the tick and with the mark
    parameters: Mapping[str, Any] = field(default_factory=dict)  # the numbers of the prompt
    personal: bool = False  # whether these numbers are one student's own
    line: int = field(default_factory=line_in_key, repr=False)  # where the key declares it

    kind: ClassVar[str]
    runs_code: ClassVar[bool] = False  # whether marking calls a function of the learner's
    fewest_misconceptions: ClassVar[int] = 0  # that a key has to name
    misconceptions: Sequence[Misconception]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", self.id):
            raise BadKey(f"exercise id {self.id!r}: expected lower-case words joined by hyphens, such as patch-tokens")
        if self.points < 0:
            raise BadKey(f"{self.id}: {self.points} points; expected 0 or more")

    @property
    def counted(self) -> float:
        """Its share of the chapter's maximum."""
        return 0.0 if self.bonus else float(self.points)

    @property
    def variable(self) -> str:
        """The name that the learner's answer has in the notebook."""
        return self.id.replace("-", "_")

    @property
    def variants(self) -> Sequence[Exercise]:
        """The exercise with each set of parameters that a student may get; empty where all get the same."""
        return ()

    def of(self, student: str) -> Exercise:
        """The exercise with this student's own parameters, where it varies."""
        return self

    def fill(self, text: Text) -> str:
        """`text` with the parameters in place, or made from them; other braces (LaTeX has many) stay."""
        if callable(text):
            return text(**self.parameters)
        return re.sub(r"\{(\w+)\}", lambda match: str(self.parameters.get(match[1], match[0])), text)

    # In the notebook

    def body(self) -> str:
        """What stands between the prompt and the instruction, such as a list of options."""
        return ""

    @abstractmethod
    def instruction(self) -> str:
        """How to answer, in one sentence."""

    @abstractmethod
    def solution(self) -> str:
        """The answer as Python code: an assignment, or a function."""

    def answer_source(self) -> str:
        """The answer cell, solved; a release leaves out what stands between the markers."""
        return f"{BEGIN}\n{self.solution()}\n{END}"

    # In exercises.json

    @abstractmethod
    def entry(self) -> dict[str, Any]:
        """What the learner's side has to know of this kind."""

    @abstractmethod
    def replies(self) -> Iterator[tuple[Any, bool, str]]:
        """(canonical answer, whether it is right, what is said to it): the right answers first."""

    # In grading

    def request(self, expression: str = "") -> str:
        """What the learner's kernel is asked for, and `mark` gets: the variable, or another expression in its place."""
        payload = "__import__('autograde.answers.outcomes', fromlist=['Payload']).Payload"
        return f"{payload}.of_value(({expression or self.variable}))"

    def mark(self, payload: Any) -> Verdict:
        """The verdict on what a kernel sent: `{"answer": …}`, `{"refused": …}` or, for functions, `{"outcomes": …}`."""
        try:
            match payload:
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

    def _verdict(self, status: Status, message: Text, share: float = 0.0, misconception: str = "") -> Verdict:
        text = self.fill(message)
        if self.personal:
            text += f" Your numbers: {', '.join(f'{name} {number}' for name, number in self.parameters.items())}."
        points = self.points if share == 1 else min(round(self.points * share, 2), self.points)
        return Verdict(self.id, status, points, self.points, text, misconception)

    # For simulated students, and for checking the key

    def right_source(self, generator: random.Random) -> str:
        """An answer cell that earns full points."""
        return self.solution()

    @abstractmethod
    def wrong_source(self, misconception: Misconception) -> str:
        """An answer cell with one of the misconceptions that the key names."""

    def problems(self) -> Iterator[tuple[int, str]]:
        """(line of the key, what to fix there) for everything that is declared wrongly."""
        for name in ("title", "prompt", "hints", "why"):
            if not getattr(self, name) and getattr(self, name) is not None:
                yield self.line, f"it has no {name}; a learner needs one"
        if self.difficulty not in (1, 2, 3) or self.minutes < 1:
            yield self.line, "expected a difficulty of 1, 2 or 3 and at least 1 minute"
        if len(self.misconceptions) < self.fewest_misconceptions:
            found, least = len(self.misconceptions), self.fewest_misconceptions
            yield self.line, f"it names {found} misconceptions; expected at least {least}, each with a message"
        for what in ("name", "message"):
            for text, count in Counter(getattr(wrong, what) for wrong in self.misconceptions).items():
                if count > 1:
                    yield self.line, f"{count} misconceptions have the {what} {str(text)[:60]!r}; give each its own"
        texts = [self.prompt, *(self.hints or ()), self.why, *(wrong.message for wrong in self.misconceptions)]
        names = re.compile(r"\{(" + ("|".join(map(re.escape, self.parameters)) or "$^") + r")\}")
        for text in texts:
            if left := names.search(self.fill(text)):
                yield self.line, f"a text still says {left[0]} after it was filled in"
