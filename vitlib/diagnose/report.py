"""The result of an examination: a finding for each question, which says what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["fine", "alarm", "left out"]
MARKS: dict[Verdict, str] = {"fine": "✓", "alarm": "✗", "left out": "·"}


@dataclass(frozen=True)
class Finding:
    """The answer to one question."""

    check: str  # the question's name, such as "positions"
    verdict: Verdict
    seen: str  # what was measured
    expected: str = ""
    remedy: str = ""  # what to do, after an alarm

    def __str__(self) -> str:
        line = f"{MARKS[self.verdict]} {self.check}: {self.seen}"
        if self.verdict != "alarm":
            return line
        return f"{line}\n    expected: {self.expected}\n    to do: {self.remedy}"


@dataclass(frozen=True)
class Report:
    """All findings, in the order of the questions. `print` it, iterate over it, or index it by the name of a question.

    >>> report = Report((Finding("mode", "fine", "two passes agree"),))
    >>> report.healthy, report["mode"].verdict
    (True, 'fine')
    >>> print(report)
    1 of 1 questions asked, no alarm
    ✓ mode: two passes agree
    """

    findings: tuple[Finding, ...]

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings that need attention."""
        return tuple(each for each in self.findings if each.verdict == "alarm")

    @property
    def healthy(self) -> bool:
        """Whether no question raised an alarm. Faults that no question looks for may remain."""
        return not self.alarms

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, check: str) -> Finding:
        """Errors: KeyError for a question that does not exist; it names those that do."""
        found = {each.check: each for each in self.findings}
        if check not in found:
            raise KeyError(f"no question is called {check!r}; there are {', '.join(found)}")
        return found[check]

    def __str__(self) -> str:
        asked = sum(each.verdict != "left out" for each in self.findings)
        alarms = f"{len(self.alarms)} alarm{'s' * (len(self.alarms) > 1)}" if self.alarms else "no alarm"
        return "\n".join([f"{asked} of {len(self.findings)} questions asked, {alarms}", *map(str, self.findings)])

    __repr__ = __str__


def fine(seen: str) -> Finding:
    """A finding without a fault; `examine` adds the name of its question, here and below."""
    return Finding("", "fine", seen)


def alarm(seen: str, expected: str, remedy: str) -> Finding:
    """A finding that needs attention."""
    return Finding("", "alarm", seen, expected, remedy)


def left_out(why: str) -> Finding:
    """A question that does not apply to this model, or lacks its input."""
    return Finding("", "left out", why)
