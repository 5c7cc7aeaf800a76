"""What all kinds of exercise share: what a learner reads, the points, and the road from a reply to a verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from autograde.answers.forms import NotAnswered, describe
from autograde.answers.serialize import BadAnswer, unpack_plain
from autograde.errors import AutogradeError
from autograde.exercises.verdict import Status, Verdict

Text = str | Callable[..., str]  # Markdown with `{name}` for a given number, or a function that makes it from them


class BadKey(AutogradeError):
    """A key that contradicts itself; the text names the exercise and the remedy."""


@dataclass(frozen=True)
class Slip:
    """A wrong answer that learners give for a reason, and the message that helps them."""

    name: str  # "forgot to square"
    answer: Any  # a value, or a function of the exercise's `given` numbers
    message: Text


@dataclass(frozen=True, eq=False)
class Exercise:
    """What all kinds share. Texts are Markdown, in which `{name}` stands for a given number."""

    id: str  # "patch-tokens"; the learner's variable is patch_tokens
    _: KW_ONLY
    title: str
    prompt: Text
    points: float = 1.0
    difficulty: int = 1  # 1 to 3 stars
    minutes: int = 1  # that a learner should need
    hints: Sequence[Text] = ()  # from a nudge to nearly the answer, unfolded one by one
    why: Text = ""  # the way to the answer, shown with the mark
    given: Mapping[str, Any] = field(default_factory=dict)  # the numbers of the prompt
    own: bool = False  # whether these numbers are one student's own

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

    def of(self, student: str) -> Exercise:
        """The exercise with this student's own numbers, where it varies."""
        return self

    def fill(self, text: Text) -> str:
        """`text` with the given numbers in place, or made from them; other braces (LaTeX has many) stay."""
        if callable(text):
            return text(**self.given)
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

    def _verdict(self, status: Status, message: Text, share: float = 0.0, slip: str = "") -> Verdict:
        told = self.fill(message)
        if self.own:
            told += f" Your numbers: {', '.join(f'{name} {number}' for name, number in self.given.items())}."
        return Verdict(self.id, status, round(self.points * share, 2), self.points, told, slip)
