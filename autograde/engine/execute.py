"""Run a repaired notebook, and take its answers out as data where the graded cells stand.

The key stays here. A graded cell of the key is never executed: in its place the kernel is asked for one value, or for
the outcomes of one function on inputs sent along, and what comes back is data that `Exercise.mark` compares in this
process. Graded cells that no key knows are nbgrader's own kind of test: the release's text runs in the kernel.

One accident does not cost the rest. A cell of the learner's that ends the kernel, or does not stop, is left out, and
the notebook runs again in a fresh kernel without it; what was marked before stays.

Where an answer is asked for: where its graded cell stands in the learner's order, after everything above it. Where
nothing is defined there, or the dots are, it is asked for once more at the end. The learner may have put the answer
below its check, and "Run All" does define it. A value that was there is never looked at again: a name that is used for
something else further down costs nothing, and a right answer behind a wrong one earns nothing. Where a name is still
not there, an answer that the learner typed into the call of `check` itself is taken.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from autograde.answers.outcomes import Payload
from autograde.authoring.key import Key
from autograde.engine.client import read_json
from autograde.engine.limits import Limits
from autograde.engine.names import names_of
from autograde.engine.plain import look_at
from autograde.engine.repair import ABOUT, OURS, add_notes
from autograde.engine.session import KernelGone, Session, error_output
from autograde.engine.verdict_cell import write_verdict
from autograde.exercises import Exercise
from autograde.exercises.verdict import Status, Verdict

OPEN = "Graded without a sandbox: this notebook's code ran with all the rights of whoever graded it."
MAX_KERNELS = 6  # for one notebook
_SLOW = 1.0  # seconds: what runs longer may be left out where the whole notebook takes too long
_CANARY = "assert 1 == 2, 'canary'"


def run_notebook(
    notebook: NotebookNode,
    key: Key,
    folder: Path,
    limits: Limits,
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> list[Verdict]:
    """Execute `notebook` in `folder`, writing outputs and verdicts into its cells; one verdict per exercise of the key.

    `tell` hears every verdict as soon as it is reached. Where the result may owe something to a busy machine, the
    notebook's metadata say so: `autograde.unsettled`.
    """
    if not limits.sandbox:
        notebook.cells.insert(0, new_markdown_cell(f"⚠ **{OPEN}**", id="no-sandbox"))
        notebook.metadata.setdefault("autograde", {}).setdefault("notes", []).append(OPEN)
    return _in_a_loop_of_its_own(_Sitting(notebook, key, folder, limits, tell).run())


def _in_a_loop_of_its_own(sitting: Coroutine[Any, Any, list[Verdict]]) -> list[Verdict]:
    """What a kernel that was stopped leaves behind, tasks and sockets, ends with it: the next one finds nothing."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:  # formgrader's
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, sitting).result()
    return asyncio.run(sitting)


class _Accident(Exception):
    """The kernel is gone, or the time is up; the text says why."""

    def __init__(self, reason: str, culprits: set[int]):
        super().__init__(reason)
        self.culprits = culprits  # cells to leave out; none where nothing of the learner's is to blame


class _Sitting:
    """One notebook, and the kernels that it takes."""

    def __init__(
        self, notebook: NotebookNode, key: Key, folder: Path, limits: Limits, tell: Callable[[Verdict], object]
    ):
        self.notebook, self.folder, self.limits, self.tell = notebook, folder, limits, tell
        code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        self.exercises = {index: key.exercises[cell.id] for index, cell in code if _asks(cell, key)}
        self.to_run = [index for index, cell in code if index in self.exercises or "skip" not in _about(cell)]
        stubs = [cell for _, cell in code if "skip" in _about(cell) and _is(cell, "solution")]
        self.absent = {name: _about(cell)["skip"] for cell in stubs for name in names_of(cell.source).defined}
        self.verdicts: dict[int, Verdict] = {}
        self.left_out: dict[int, str] = {}  # cells that do not run again, and why
        self.notes: list[str] = []
        self.unsettled = ""  # what may be owed to a busy machine
        self._begun = 0.0  # when the first kernel was there

    async def run(self) -> list[Verdict]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of tasks whose kernel was stopped
        for cell in self.notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        seconds, reason = self.limits.notebook_seconds, ""
        for kernel in range(1, MAX_KERNELS + 1):
            try:
                await self._pass(seconds)
                break
            except _Accident as accident:
                reason = str(accident)
                if not accident.culprits:
                    self.unsettled = reason
                    break
                self._leave_out(accident.culprits, reason, again=kernel < MAX_KERNELS)
            seconds = self._begun + self.limits.notebook_seconds + self.limits.overtime / 2 - time.monotonic()
        for index, exercise in self.exercises.items():
            if index not in self.verdicts:
                self._settle(index, exercise.lost(f"No answer arrived: {reason}, before this exercise was reached."))
        self._close(reason)
        return [self.verdicts[index] for index in self.exercises]

    async def _pass(self, seconds: float) -> None:
        """Run what there is to run in a kernel of its own, which has so many seconds once it is there.

        Raises:
            _Accident: it did not come to the end.
        """
        self.took: dict[int, float] = {}  # seconds, of the learner's cells that ran in this kernel
        self.ran: set[int] = set()
        late: dict[int, Verdict] = {}  # where nothing was there to be marked; asked for again at the end
        left = [index for index in self.to_run if index not in self.left_out and index not in self.verdicts]
        reply: dict[str, Any] | None = None
        if not left:
            return  # essays alone need no kernel
        async with Session.started(self.notebook, self.folder, self.limits) as session:
            begun = time.monotonic()
            self._begun = self._begun or begun
            for index, following in zip(left, [*left[1:], -1], strict=True):
                if time.monotonic() > begun + seconds:
                    raise self._out_of_time(seconds)
                if index not in self.exercises:
                    reply = await self._execute(session, index, ask=self.exercises.get(following))
                    continue
                if not _has_answer(reply):
                    reply = await self._ask(session, index)
                verdict = self._mark(self.exercises[index], reply)
                reply = None
                if _is_there(verdict):
                    self._settle(index, verdict)
                else:
                    late[index] = verdict
            for index, verdict in late.items():
                instead = _about(self.notebook.cells[index]).get("instead", "")
                again = self._mark(self.exercises[index], await self._ask(session, index))
                if instead and not _is_there(again):
                    again = self._mark(self.exercises[index], await self._ask(session, index, instead))
                self._settle(index, again if _is_there(again) else verdict)

    async def _execute(self, session: Session, index: int, ask: Exercise | None) -> dict[str, Any] | None:
        """Run a cell, and ask for the value of the next one, if that is a plain value, in the same message."""
        cell = self.notebook.cells[index]
        cell.outputs, begun = [], time.monotonic()
        try:
            reply = await session.execute(cell, index, ask.request() if ask is not None and not ask.runs_code else "")
        except KernelGone as gone:
            raise _Accident(f"{self._name(index)} {gone}", self._suspects(index)) from None
        self.ran.add(index)
        if self._is_learners(index):
            self.took[index] = time.monotonic() - begun
        if reply is None:
            reason = f"{self._name(index)} ran longer than {self.limits.cell_seconds:g} seconds and was stopped"
            cell.outputs.append(error_output("TimedOut", reason))
            self.notes.append(f"{reason}.")
            self.unsettled = self.unsettled if self._is_learners(index) else reason
        elif _is(cell, "grade"):
            await self._look_at_test(session, index, reply)
        return reply

    async def _look_at_test(self, session: Session, index: int, reply: dict[str, Any]) -> None:
        """What nbgrader's rules make of a test's outputs must be what became of the test: no output is full marks."""
        cell = self.notebook.cells[index]
        failed = any(output.output_type == "error" for output in cell.outputs)
        if reply.get("status") != "ok" and not failed:
            cell.outputs.append(error_output(str(reply.get("ename"))[:100], str(reply.get("evalue"))[:1000]))
        elif not failed and not _is(cell, "solution"):
            try:
                canary = await session.ask(_CANARY, {})
            except KernelGone as gone:
                raise _Accident(f"{self._name(index)} {gone}", self._suspects(index)) from None
            if (canary.get("status"), canary.get("ename")) != ("error", "AssertionError"):
                cell.outputs = [error_output("Untrustworthy", "a false assertion passes in this notebook")]
                look_at(self.notebook, [f"at {self._name(index)}, a false assertion passes"])

    async def _ask(self, session: Session, index: int, expression: str = "") -> dict[str, Any]:
        exercise = self.exercises[index]
        try:
            return await session.ask("", {"answer": exercise.request(expression)})
        except KernelGone as gone:
            suspects = self._suspects(index) - {index}
            if exercise.runs_code or not suspects or "ended" not in str(gone):
                self._settle(index, exercise.lost(f"No answer arrived: `{exercise.variable}` {gone}."))
                suspects = {index}
                if not exercise.runs_code and "longer" in str(gone):  # to read a value takes no time
                    self.unsettled = f"reading `{exercise.variable}` {gone}"
            raise _Accident(f"`{exercise.variable}` {gone}", suspects) from None

    def _mark(self, exercise: Exercise, reply: dict[str, Any] | None) -> Verdict:
        name = exercise.variable
        match reply and reply.get("user_expressions"):
            case {"answer": {"status": "ok", "data": {Payload.mime: str(text)}}}:
                try:
                    return exercise.mark(read_json(text.encode()))
                except (ValueError, RecursionError):
                    return exercise.lost(f"`{name}` did not arrive in a form that can be read.")
            case {"answer": {"status": "error", "ename": "NameError"}}:
                return self._undefined(exercise)
        return exercise.lost(f"No answer arrived for `{name}`: something in the notebook prevents reading it.")

    def _undefined(self, exercise: Exercise) -> Verdict:
        name = exercise.variable
        if name in self.absent:
            return replace(exercise.lost(f"`{name}` is not answered: {self.absent[name]}."), status=Status.BLANK)
        for index, reason in self.left_out.items():
            if name in names_of(self.notebook.cells[index].source).defined:
                return exercise.lost(f"`{name}` is not defined: its cell was left out, since {reason}.")
        return exercise.lost(f"`{name}` is not defined: the cell that sets it failed or was deleted.")

    def _settle(self, index: int, verdict: Verdict) -> None:
        self.verdicts[index] = verdict
        write_verdict(self.notebook.cells[index], verdict)
        self.tell(verdict)

    def _suspects(self, index: int) -> set[int]:
        """Whose fault it is that a kernel is gone: the cell's, or that of the learner's cell before it."""
        if self._is_learners(index):
            return {index}
        return {next(reversed(self.took))} if self.took else set()

    def _out_of_time(self, seconds: float) -> _Accident:
        """Where the learner's cells took most of the time, the slowest are left out, until the rest takes little."""
        slow = sorted((index for index in self.took if self.took[index] > _SLOW), key=self.took.__getitem__)
        total = sum(self.took[index] for index in slow)
        culprits: set[int] = set()
        if total > seconds / 2:
            little = min(self.limits.notebook_seconds, self.limits.overtime) / 4
            while slow and total > little:
                culprits.add(slow.pop())
                total = sum(self.took[index] for index in slow)
        return _Accident(f"the notebook ran longer than {self.limits.notebook_seconds:g} seconds", culprits)

    def _leave_out(self, culprits: set[int], reason: str, again: bool) -> None:
        rest = "the notebook ran again without it" if again else "what follows it did not run"
        for index in culprits - self.exercises.keys():
            self.left_out[index] = reason
            took = f"; it took {self.took[index]:.0f} seconds" if index in self.took else ""
            self.notebook.cells[index].outputs.append(error_output("LeftOut", f"{reason}{took}; {rest}"))
            name = self._name(index)
            self.notes.append(f"{reason.removeprefix(name).strip().join((f'{name} was left out: it ', ''))}; {rest}.")

    def _close(self, reason: str) -> None:
        """Say what happened, in the notebook; and let no test count as passed that did not run."""
        for index in self.to_run:
            cell = self.notebook.cells[index]
            if index not in self.exercises and index not in self.ran and not cell.outputs and _is(cell, "grade"):
                cell.outputs = [error_output("NotRun", reason or "it was left out")]
        if self.unsettled:
            about = self.notebook.metadata.setdefault("autograde", NotebookNode())
            about.unsettled = self.unsettled
        add_notes(self.notebook, self.notes)

    def _is_learners(self, index: int) -> bool:
        """Whether a cell runs code of the learner's: it is theirs, or it tests what is theirs."""
        cell = self.notebook.cells[index]
        return "own" in _about(cell) or _is(cell, "grade")

    def _name(self, index: int) -> str:
        return f"cell {index + 1 - sum(cell.id in OURS for cell in self.notebook.cells[:2])}"


def _has_answer(reply: dict[str, Any] | None) -> bool:
    match reply:
        case {"user_expressions": {"answer": _}}:
            return True
    return False


def _is_there(verdict: Verdict) -> bool:
    """Whether there was a value, be it right or wrong."""
    return verdict.status not in (Status.BLANK, Status.LOST)


def _asks(cell: NotebookNode, key: Key) -> bool:
    return _is(cell, "grade") and cell.id in key.exercises


def _is(cell: NotebookNode, role: str) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get(role))


def _about(cell: NotebookNode) -> dict[str, Any]:
    about: dict[str, Any] = cell.metadata.get(ABOUT, {})
    return about
