"""Accidents: a cell that ends the kernel, or does not stop. Which cells are left out when the notebook runs again.

The cell in which a kernel ends need not be the one that ended it: an earlier one may have left a timer, a task or a
handler behind. An answer is not left out for that. It runs once more, without the learner's cells before it that
nothing needs; only where the kernel ends in it again is the fault its own, and the others come back.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from nbformat import NotebookNode

from autograde.engine.cells import error_output, is_grade, is_solution
from autograde.engine.limits import Limits
from autograde.engine.names import Names, names_of
from autograde.engine.repair import ABOUT, OURS
from autograde.engine.session import KernelGone

_IN_FILE = re.compile(r" \([^()]*, (line \d+)\)$")  # where a cell's syntax is at fault, in a file of the kernel's own
_SLOW = 1.0  # seconds: what runs longer may be left out where the whole notebook takes too long


class Accident(Exception):
    """The kernel is gone, or the time is up; the text says why."""

    def __init__(self, reason: str, culprits: set[int], suspects: set[int] | None = None, place: int | None = None):
        super().__init__(reason)
        self.culprits = culprits  # cells to leave out
        self.suspects = suspects or set()  # cells to go without once; nothing of the learner's is to blame: neither
        self.place = place  # the cell in which the kernel ended


class Accidents:
    """What happened to one notebook's cells, by index."""

    def __init__(self, notebook: NotebookNode, limits: Limits, checks: Collection[int]):
        """`checks` are the graded cells of the key: they do not run, so they cannot be left out."""
        self.notebook, self.limits, self.checks = notebook, limits, checks
        self.took: dict[int, float] = {}  # seconds, of the learner's cells that ran in the present kernel
        self.grew: dict[int, int] = {}  # bytes of memory that each of them left the kernel holding
        self._held = 0  # bytes, after the last cell
        self.left_out: dict[int, str] = {}  # cells that do not run again, and why
        self.aside: set[int] = set()  # cells that the present kernel goes without
        self._trial: tuple[int | None, str] = -1, ""  # the cell that runs again without them, and what happened in it
        self._needless = needless(notebook)
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
        """A cell that finds no memory does not pay for the one that took it, which may be itself if not an answer.

        Raises:
            Accident: the cell's reply is a MemoryError, and one cell holds most of the memory.
        """
        hoarder = self.hoarder()
        if hoarder == {index} and is_solution(self.notebook.cells[index]):
            return
        if hoarder and reply.get("ename") == "MemoryError":
            raise Accident(f"{self.name(index)} found no memory left, of which this cell held most", hoarder)

    def why_undefined(self, name: str, answer: str) -> str:
        """Why nothing has the name that the cell `answer` of the release asks for, or another one defines."""
        for index, reason in self.left_out.items():
            if name in names_of(self.notebook.cells[index].source).defined:
                return f"its cell was left out, since {reason}"
        for index, cell in enumerate(self.notebook.cells):
            is_its = cell.id == answer or name in names_of(cell.source).defined
            if cell.cell_type != "code" or index in self.checks or not is_its:
                continue
            for error in (output for output in cell.outputs if output.output_type == "error"):
                if error.ename == "StdinNotImplementedError":
                    return f"{self.name(index)}, which is to set it, asks for input, and while grading nobody types"
                said = _IN_FILE.sub(r" (\1)", f"{error.ename}: {error.evalue}"[:150].strip().partition("\n")[0])
                return f"{self.name(index)}, which is to set it, failed with {said.replace('`', chr(39)).rstrip('.: ')}"
            return f"{self.name(index)} ran, and left nothing of that name"
        return "no cell sets it"

    def in_cell(self, index: int, gone: KernelGone, name: str = "") -> Accident:
        """What to do about a kernel that ended in a cell, or in reading an answer at a check.

        name: of what ran there, where it is not a cell.
        """
        reason = f"{name or self.name(index)} {gone}"
        if gone.took_too_much and (hoarder := self.hoarder()):
            return Accident(reason, hoarder, place=index)
        suspects = self._needless & self.took.keys()
        if not gone.for_sure and index not in self._needless and suspects and index != self._trial[0]:
            return Accident(reason, set(), suspects, index)
        if not self.is_learners(index):
            return Accident(reason, {next(reversed(self.took))} if self.took else set(), place=index)
        return Accident(reason, {index}, place=index)

    def after(self, accident: Accident, last: bool, many: bool) -> None:
        """Decide which cells the next kernel goes without. It is the `last`, or there have been `many` accidents."""
        if accident.place == self._trial[0]:
            self.aside = set()  # it ended in the same cell without them
        self.end_trial()
        if accident.suspects:
            self.aside, self._trial = accident.suspects, (accident.place, str(accident))
        self._leave_out(accident.culprits, str(accident), not last)
        if many and (rest := self._needless - self.left_out.keys() - self.aside):
            self._leave_out_together(rest, "the kernel has ended too often, and nothing needs what {} defined")

    def end_trial(self) -> None:
        """The kernel came past the cell without those that were put aside: they stay left out."""
        if self.aside:
            self._leave_out_together(self.aside, f"after {{}}, {self._trial[1]}; without {{}}, that did not happen")
        self.aside, self._trial = set(), (-1, "")

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

    def _leave_out(self, culprits: set[int], reason: str, again: bool) -> None:
        """Run these cells no more, and say so in each of them and in the notes."""
        rest = "the notebook ran again without it" if again else "what follows it did not run"
        for index in sorted(culprits.difference(self.checks)):
            self.left_out[index] = reason
            name = self.name(index)
            took = f"; it took {self.took[index]:.0f} seconds" if self.took.get(index, 0) > _SLOW else ""
            self.notebook.cells[index].outputs.append(error_output("LeftOut", f"{reason}{took}; {rest}"))
            why = f"it{reason.removeprefix(name)}" if reason.startswith(f"{name} ") else f"{reason}{took}"
            self.notes.append(f"{name} was left out: {why}; {rest}.")

    def _leave_out_together(self, cells: set[int], reason: str) -> None:
        """Run these cells no more: one of them, nobody knows which, did harm. In the reason {} stands for them."""
        names = ", ".join(self.name(index) for index in sorted(cells))
        said = reason.replace("{}", "it" if len(cells) == 1 else "them")
        self.notes.append(f"{names} {'was' if len(cells) == 1 else 'were'} left out: {said}.")
        for index in cells:
            self.left_out[index] = said
            self.notebook.cells[index].outputs.append(error_output("LeftOut", self.notes[-1]))


def needless(notebook: NotebookNode) -> set[int]:
    """The learner's cells that are not answers, and that define nothing which another cell needs."""
    found, needed, said = set(), set[str](), dict[int, Names]()
    brought = set[str]()  # by the cells above
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            names = names_of(cell.source)
            said[index] = Names(names.defined - (names.imported & brought), names.needed, all_said=names.all_said)
            brought |= names.certain
    for index in reversed(said):
        cell, names = notebook.cells[index], said[index]
        about = cell.metadata.get(ABOUT, {})
        if "own" in about and not is_solution(cell) and names.all_said and not names.defined & needed:
            found.add(index)
        else:
            needed |= names.needed | names_of(about.get("instead", "")).needed
    return found
