"""Run a repaired notebook, and take its answers out as data where the graded cells stand.

The key stays here. A graded cell of the key is never executed: in its place the kernel is asked for one value, or for
the outcomes of one function on inputs sent along, and what comes back is data that `Exercise.mark` compares in this
process. Graded cells that no key knows are nbgrader's own kind of test: the release's text runs in the kernel.

One accident does not cost the rest. A cell of the learner's that ends or breaks the kernel, or does not stop, is left
out, and the notebook runs again in a fresh kernel without it (see `autograde.engine.accidents`); what was marked before
stays.

An answer is read where its graded cell is in the learner's notebook, after everything above it has run. Where its
name is not defined there, or still holds the dots, it is read once more at the end: the learner may have put the answer
below its check, and "Run All" does define it. A value that was read counts, whatever becomes of its name further down:
using the name for something else costs nothing, and correcting the answer below its check earns nothing. If the name is
not defined at the end either, the answer is taken that the learner typed into the call of `check` itself, if any.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from autograde.answers.outcomes import Payload
from autograde.authoring.key import Key
from autograde.engine.accidents import Accident, Accidents
from autograde.engine.cells import error_output, is_grade, is_solution
from autograde.engine.client import read_json, result_of
from autograde.engine.limits import Limits
from autograde.engine.names import names_of
from autograde.engine.nbgrader_tests import can_fail, look_at
from autograde.engine.repair import ABOUT, add_notes
from autograde.engine.session import KernelGone, Session
from autograde.engine.verdict_cell import write_verdict
from autograde.exercises import Exercise
from autograde.exercises.verdict import Status, Verdict

OPEN = "Graded without a sandbox: this notebook's code ran with the grader's privileges."
MAX_KERNELS = 6  # for one notebook
MANY = 3  # accidents, after which the learner's cells that nothing needs are left out


def run_notebook(
    notebook: NotebookNode,
    key: Key,
    folder: Path,
    limits: Limits,
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> list[Verdict]:
    """Execute `notebook` in `folder`, writing outputs and verdicts into its cells; one verdict per exercise of the key.

    `tell` is called with every verdict as soon as it is reached. Where time ran out and the machine
    may be to blame, the notebook's metadata say so: `autograde.unsettled`.
    """
    if not limits.sandbox:
        notebook.cells.insert(0, new_markdown_cell(f"⚠ **{OPEN}**", id="no-sandbox"))
        notebook.metadata.setdefault("autograde", {}).setdefault("notes", []).append(OPEN)
    return _Run(notebook, key, folder, limits, tell).run()


class _Run:
    """One notebook, and the kernels that it takes."""

    def __init__(
        self, notebook: NotebookNode, key: Key, folder: Path, limits: Limits, tell: Callable[[Verdict], object]
    ):
        self.notebook, self.folder, self.limits, self.tell = notebook, folder, limits, tell
        code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        self.exercises = {
            index: key.exercises[cell.id] for index, cell in code if is_grade(cell) and cell.id in key.exercises
        }
        self.to_run = [index for index, cell in code if index in self.exercises or "skip" not in _about(cell)]
        stubs = [cell for _, cell in code if "skip" in _about(cell) and is_solution(cell)]
        self.absent = {name: _about(cell)["skip"] for cell in stubs for name in names_of(cell.source).defined}
        self.verdicts: dict[int, Verdict] = {}
        self.accidents = Accidents(notebook, limits, self.exercises)
        self.one_by_one = False  # whether each of the last values is read with a message of its own
        self.unsettled = ""  # why time ran out, where a busy machine may be the reason
        self._begun = 0.0  # when the first kernel had started

    def run(self) -> list[Verdict]:
        for cell in self.notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        seconds, reason = self.limits.notebook_seconds, ""
        for kernel in range(1, MAX_KERNELS + 1):
            try:
                self._pass(seconds)
                break
            except Accident as accident:
                reason = str(accident)
                if not accident.culprits | accident.suspects:
                    self.unsettled = reason
                    break
                self.accidents.after(accident, last=kernel == MAX_KERNELS, many=kernel >= MANY)
            seconds = self._begun + self.limits.notebook_seconds + self.limits.overtime / 2 - time.monotonic()
        for index, exercise in self.exercises.items():
            if index not in self.verdicts:
                self._settle(index, exercise.lost(f"No answer arrived: {reason}, before this exercise was reached."))
        self._close(reason)
        return [self.verdicts[index] for index in self.exercises]

    def _pass(self, seconds: float) -> None:
        """Run what has not been run yet in a fresh kernel, for so many seconds after it has started.

        Raises:
            Accident: it did not come to the end.
        """
        self.ran: set[int] = set()
        late: dict[int, Verdict] = {}  # of checks that found no answer: it is read again at the end
        without = self.accidents.left_out.keys() | self.accidents.aside | self.verdicts.keys()
        left = [index for index in self.to_run if index not in without]
        reply: dict[str, Any] | None = None
        if not left:
            return  # essays alone need no kernel
        with Session.started(self.folder, self.limits) as session:
            self.accidents.begin(session.held)
            begun = time.monotonic()
            self._begun = self._begun or begun
            for index, following in zip(left, [*left[1:], -1], strict=True):
                if time.monotonic() > begun + seconds:
                    raise self.accidents.out_of_time(seconds)
                self._refuse_if_broken(session)
                if index not in self.exercises:
                    reply = self._execute(session, index, ask=self.exercises.get(following))
                    continue
                answer = result_of(reply) or self._ask(session, index)
                verdict, reply = self._mark(self.exercises[index], answer), None
                if _is_there(verdict) or session.broken:
                    self._settle(index, verdict)
                else:
                    late[index] = verdict
            self._ask_again(session, late)

    def _ask_again(self, session: Session, late: dict[int, Verdict]) -> None:
        """Read again the answers that were not defined at their checks: plain values with one message.

        Why one is not defined can be said now only: its cell may stand below its check.
        """
        values = [index for index in late if not self.exercises[index].runs_code]
        reply = self._ask_together(session, values) if len(values) > 1 and not self.one_by_one else None
        for index, verdict in late.items():
            self._refuse_if_broken(session)
            exercise, instead = self.exercises[index], _about(self.notebook.cells[index]).get("instead", "")
            again = self._mark(exercise, result_of(reply, str(index)) or self._ask(session, index))
            if instead and not _is_there(again):
                again = self._mark(exercise, self._ask(session, index, instead))
            gone = verdict.status is Status.BLANK and again.status is Status.LOST  # there were dots, and then nothing
            self._settle(index, verdict if gone else again)

    def _refuse_if_broken(self, session: Session) -> None:
        """A function of the learner's broke the kernel when it was called: it is marked, and the rest needs another."""
        if session.broken:
            raise Accident(f"calling a function broke the kernel ({session.broken})", set(self.verdicts))

    def _ask_together(self, session: Session, values: list[int]) -> dict[str, Any]:
        """Read several answers with one message. Where that ends or hangs the kernel, the next reads each alone."""
        try:
            return session.ask("", {str(index): self.exercises[index].request() for index in values})
        except KernelGone as gone:
            self.one_by_one = True
            raise Accident(f"reading the last answers {gone}", set(values)) from None

    def _execute(self, session: Session, index: int, ask: Exercise | None) -> dict[str, Any] | None:
        """Run a cell, and in the same message ask for the next cell's answer, unless that is a function."""
        cell = self.notebook.cells[index]
        cell.outputs, begun = [], time.monotonic()
        try:
            expression = ask.request() if ask is not None and not ask.runs_code else ""
            reply = session.execute(cell, expression, theirs=self.accidents.is_learners(index))
            self.ran.add(index)
            self.accidents.ran(index, time.monotonic() - begun, session.held)
            self.accidents.check_memory(index, reply or {})
            if reply is not None and is_grade(cell) and not can_fail(session, cell, reply):
                look_at(self.notebook, [f"at {self.accidents.name(index)}, a false assertion passes"])
        except KernelGone as gone:
            raise self.accidents.in_cell(index, gone) from None
        if reply is None:
            seconds = f"{self.limits.cell_seconds:g} seconds"
            reason = f"{self.accidents.name(index)} ran longer than {seconds} and was stopped"
            cell.outputs.append(error_output("TimedOut", reason))
            self.accidents.notes.append(f"{reason}.")
            self.unsettled = self.unsettled if self.accidents.is_learners(index) else reason
        return reply

    def _ask(self, session: Session, index: int, expression: str = "") -> Any:
        exercise = self.exercises[index]
        try:
            return result_of(session.ask("", {"answer": exercise.request(expression)}, theirs=exercise.runs_code))
        except KernelGone as gone:
            accident = self.accidents.in_cell(index, gone, f"`{exercise.variable}`")
            if index in accident.culprits:
                self._settle(index, exercise.lost(f"No answer arrived: {accident}."))
                if not exercise.runs_code and "longer" in str(gone):  # to read a value takes no time
                    self.unsettled = f"reading {accident}"
            raise accident from None

    def _mark(self, exercise: Exercise, answer: Any) -> Verdict:
        name = exercise.variable
        match answer:
            case {"status": "ok", "data": {Payload.mime: str(text)}}:
                try:
                    return exercise.mark(read_json(text.encode()))
                except (ValueError, RecursionError):
                    return exercise.lost(f"`{name}` did not arrive in a form that can be read.")
            case {"status": "error", "ename": "NameError"}:
                return self._undefined(exercise)
        return exercise.lost(f"No answer arrived for `{name}`: something in the notebook prevents reading it.")

    def _undefined(self, exercise: Exercise) -> Verdict:
        name = exercise.variable
        if name in self.absent:
            return replace(exercise.lost(f"`{name}` is not answered: {self.absent[name]}."), status=Status.BLANK)
        return exercise.lost(f"`{name}` is not defined: {self.accidents.why_undefined(name, f'{exercise.id}-answer')}.")

    def _settle(self, index: int, verdict: Verdict) -> None:
        self.verdicts[index] = verdict
        write_verdict(self.notebook.cells[index], verdict)
        self.tell(verdict)

    def _close(self, reason: str) -> None:
        """Say what happened, in the notebook; and let no test count as passed that did not run."""
        self.accidents.end_trial()
        for index in self.to_run:
            cell = self.notebook.cells[index]
            if index not in self.exercises and index not in self.ran and not cell.outputs and is_grade(cell):
                cell.outputs = [error_output("NotRun", reason or "it was left out")]
        if self.unsettled:
            about = self.notebook.metadata.setdefault("autograde", NotebookNode())
            about.unsettled = self.unsettled
        add_notes(self.notebook, self.accidents.notes)


def _is_there(verdict: Verdict) -> bool:
    """Whether there was a value, be it right or wrong."""
    return verdict.status not in (Status.BLANK, Status.LOST)


def _about(cell: NotebookNode) -> dict[str, Any]:
    about: dict[str, Any] = cell.metadata.get(ABOUT, {})
    return about
