"""Accidents: a cell that ends the kernel, or does not stop. Which cells are left out when the notebook runs again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nbformat import NotebookNode

from autograde.engine.cells import is_grade, is_solution
from autograde.engine.limits import Limits
from autograde.engine.repair import ABOUT, OURS
from autograde.engine.session import KernelGone, error_output

_SLOW = 1.0  # seconds: what runs longer may be left out where the whole notebook takes too long


class Accident(Exception):
    """The kernel is gone, or the time is up; the text says why."""

    def __init__(self, reason: str, culprits: set[int]):
        super().__init__(reason)
        self.culprits = culprits  # cells to leave out; none where nothing of the learner's is to blame


class Accidents:
    """What happened to one notebook's cells, by index."""

    def __init__(self, notebook: NotebookNode, limits: Limits, checks: Collection[int]):
        """`checks` are the graded cells of the key: they do not run, so they cannot be left out."""
        self.notebook, self.limits, self.checks = notebook, limits, checks
        self.took: dict[int, float] = {}  # seconds, of the learner's cells that ran in the present kernel
        self.grew: dict[int, int] = {}  # bytes of memory that each of them left the kernel holding
        self._held = 0  # bytes, after the last cell
        self.left_out: dict[int, str] = {}  # cells that do not run again, and why
        self.notes: list[str] = []  # for the learner and the teacher

    def is_learners(self, index: int) -> bool:
        """Whether a cell runs code of the learner's: it is theirs, or it tests what is theirs."""
        cell = self.notebook.cells[index]
        return "own" in cell.metadata.get(ABOUT, {}) or is_grade(cell)

    def name(self, index: int) -> str:
        """The cell as the learner counts: without those that the grader put in front."""
        return f"cell {index + 1 - sum(cell.id in OURS for cell in self.notebook.cells[:2])}"

    def begin(self, held: int) -> None:
        """A fresh kernel, which holds so many bytes of memory."""
        self.took, self.grew, self._held = {}, {}, held

    def ran(self, index: int, seconds: float, held: int) -> None:
        """A cell has run for so long, and the kernel holds so many bytes now."""
        if self.is_learners(index):
            self.took[index] = seconds
            self.grew[index] = held - self._held
        self._held = held

    def hoarder(self) -> set[int]:
        """The learner's cell that holds more than half of all the memory there is, if one does."""
        return {index for index, size in self.grew.items() if 2 * size > self.limits.memory * 2**20}

    def check_memory(self, index: int, reply: dict[str, Any]) -> None:
        """A cell that finds no memory does not pay for the one that took it, which may be itself if it is no answer.

        Raises:
            Accident: the cell's reply is a MemoryError, and one cell holds most of the memory.
        """
        hoarder = self.hoarder()
        if hoarder == {index} and is_solution(self.notebook.cells[index]):
            return
        if hoarder and reply.get("ename") == "MemoryError":
            raise Accident(f"{self.name(index)} found no memory left, of which this cell held most", hoarder)

    def suspects(self, index: int, gone: KernelGone) -> set[int]:
        """Whose fault it is that a kernel is gone: the cell's, or that of one of the learner's before it."""
        if gone.took_too_much and (hoarder := self.hoarder()):
            return hoarder
        if self.is_learners(index):
            return {index}
        return {next(reversed(self.took))} if self.took else set()

    def out_of_time(self, seconds: float) -> Accident:
        """Where the learner's cells took most of the time, the slowest are left out, until the rest takes little."""
        slow = sorted((index for index in self.took if self.took[index] > _SLOW), key=self.took.__getitem__)
        total = sum(self.took[index] for index in slow)
        culprits: set[int] = set()
        if total > seconds / 2:
            little = min(self.limits.notebook_seconds, self.limits.overtime) / 4
            while slow and total > little:
                culprits.add(slow.pop())
                total = sum(self.took[index] for index in slow)
        return Accident(f"the notebook ran longer than {self.limits.notebook_seconds:g} seconds", culprits)

    def leave_out(self, culprits: set[int], reason: str, again: bool) -> None:
        """Run these cells no more, and say so in each of them and in the notes."""
        rest = "the notebook ran again without it" if again else "what follows it did not run"
        for index in sorted(culprits.difference(self.checks)):
            self.left_out[index] = reason
            name = self.name(index)
            took = f"; it took {self.took[index]:.0f} seconds" if self.took.get(index, 0) > _SLOW else ""
            self.notebook.cells[index].outputs.append(error_output("LeftOut", f"{reason}{took}; {rest}"))
            why = f"it{reason.removeprefix(name)}" if reason.startswith(f"{name} ") else f"{reason}{took}"
            self.notes.append(f"{name} was left out: {why}; {rest}.")
