"""Run a repaired notebook in a kernel, and take its answers out as data where the graded cells stand.

The key stays here. A graded cell is never executed: in its place the kernel is asked for one value, or for the outcomes
of one function on inputs sent along, and what comes back is data that `Exercise.mark` compares in this process.
"""

from __future__ import annotations

import asyncio
import json
import math
import queue
import subprocess
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from autograde.exercises import Code, Exercise
from autograde.intake import Intake, read_json
from autograde.key import Key
from autograde.outcomes import Parcel
from autograde.sandbox.confine import Caps
from autograde.sandbox.provisioner import SandboxProvisioner
from autograde.verdict import Verdict
from autograde.verdict_cell import write_verdict

OPEN = "Graded without a sandbox: this notebook's code ran with all the rights of whoever graded it."
ILLUSTRATION = "illustration"  # the tag of cells that no later graded cell needs; grading leaves them out


@dataclass(frozen=True)
class Limits:
    """What a submission may use: `c.Limits` in nbgrader_config.py.

    Errors: ValueError for what is no number of its kind, and for less than a limit makes sense with.
    """

    cell_seconds: float = 30.0  # for one cell, or for one exercise's answer
    notebook_seconds: float = 300.0  # for the whole notebook
    overtime: float = 300.0  # seconds beyond that in which a worker starts, marks and ends; it is given up after them
    memory: int = 2048  # MiB, for each process beyond what it starts with, and for all of them together
    processes: int = 64  # processes and threads
    scratch: int = 256  # MiB of files
    sandbox: bool = True  # without it learners' code runs with the grader's own rights, and is not capped

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name in ("notebook_seconds", "sandbox") else 1
            whole = not isinstance(field.default, float)
            if not isinstance(value, int if whole else (int, float)) or not least <= value < math.inf:
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"{field.name} is {value!r}: expected {kind}, {least} or more")


def run_notebook(
    notebook: NotebookNode,
    key: Key,
    folder: Path,
    limits: Limits,
    tell: Callable[[Verdict], object] = lambda verdict: None,
) -> list[Verdict]:
    """Execute `notebook` in `folder`, writing outputs and verdicts into its cells; one verdict per exercise.

    `tell` hears every verdict as soon as it is reached.
    """
    if not limits.sandbox:
        notebook.cells.insert(0, new_markdown_cell(f"⚠ **{OPEN}**", id="no-sandbox"))
        notebook.metadata.setdefault("autograde", {}).setdefault("notes", []).append(OPEN)
    return _in_a_loop_of_its_own(_Sitting(notebook, key, folder, limits).run(tell))


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


class _Sitting:
    """One notebook, one kernel, from its start to its end."""

    def __init__(self, notebook: NotebookNode, key: Key, folder: Path, limits: Limits):
        self.notebook, self.key, self.limits = notebook, key, limits
        self.client = Intake(
            notebook,
            Caps(limits.memory, limits.processes, limits.scratch) if limits.sandbox else None,
            timeout=math.ceil(limits.cell_seconds),
            startup_timeout=math.ceil(limits.overtime),
            interrupt_on_timeout=False,
            allow_errors=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(folder)}},
        )
        self.gone = ""  # why there is no kernel any more

    @property
    def _manager(self) -> AsyncKernelManager:
        return cast(AsyncKernelManager, self.client.km)

    async def run(self, tell: Callable[[Verdict], object]) -> list[Verdict]:
        verdicts = []
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of tasks whose kernel was stopped
        deadline = time.monotonic() + self.limits.notebook_seconds
        async with self.client.async_setup_kernel(cleanup_kc=True, stderr=subprocess.DEVNULL):
            for index, cell in enumerate(self.notebook.cells):
                if cell.cell_type != "code":
                    continue
                cell.outputs, cell.execution_count = [], None
                exercise = self.key.exercises.get(cell.id) if _is_graded(cell) else None
                if not self.gone and time.monotonic() > deadline:
                    await self._stop(f"the notebook ran longer than {self.limits.notebook_seconds:g} seconds")
                if exercise is not None:
                    verdict = await self._answer(exercise)
                    write_verdict(cell, verdict)
                    verdicts.append(verdict)
                    tell(verdict)
                elif not self.gone and ILLUSTRATION not in cell.metadata.get("tags", []):
                    await self._execute(cell, index)
        return verdicts

    async def _execute(self, cell: NotebookNode, index: int) -> None:
        try:
            await self.client.async_execute_cell(cell, index)
        except CellTimeoutError:
            await self._interrupt(cell, index)
        except DeadKernelError:
            self._note_death(cell, f"cell {index + 1} ended the kernel{self._why()}")
        except Exception as error:  # what this kernel sent is no message, and it is not to be trusted with more
            await self._stop(f"cell {index + 1} made the kernel send what cannot be read ({type(error).__name__})")
            self._note_death(cell, self.gone)

    async def _interrupt(self, cell: NotebookNode, index: int) -> None:
        """Stop a cell that ran too long; the notebook goes on if the kernel answers again."""
        reason = f"cell {index + 1} ran longer than {self.limits.cell_seconds:g} seconds"
        await self._manager.interrupt_kernel()
        try:
            try:
                await self._request("", {}, seconds=5)
            except ValueError:  # a message that the interrupt cut off, between its signature and its end
                await self._request("", {}, seconds=5)
            cell.outputs.append(_error("TimedOut", f"{reason} and was stopped"))
        except _NoReplyError:
            self._note_death(cell, f"{reason} and did not stop when asked to{self._why()}")
            await self._stop(self.gone)
        except Exception as error:  # what this kernel sent is no message, and it is not to be trusted with more
            self._note_death(cell, f"{reason}, and then sent what cannot be read ({type(error).__name__})")
            await self._stop(self.gone)

    def _note_death(self, cell: NotebookNode, reason: str) -> None:
        self.gone = reason
        cell.outputs.append(_error("KernelDied", reason))

    def _why(self) -> str:
        """Why the kernel was killed, if a limit was the reason."""
        provisioner = self._manager.provisioner
        return f": {provisioner.reason}" if isinstance(provisioner, SandboxProvisioner) and provisioner.reason else ""

    async def _stop(self, reason: str) -> None:
        self.gone = reason
        await self._manager.shutdown_kernel(now=True)

    async def _answer(self, exercise: Exercise) -> Verdict:
        if self.gone:
            return exercise.lost(f"No answer arrived: {self.gone}, before this exercise was reached.")
        ask = f"__import__('autograde.outcomes', fromlist=['Parcel']).Parcel.of_value({exercise.variable})"
        if isinstance(exercise, Code):
            cases = json.dumps([arguments for _, arguments in exercise.cases])
            ask = ask.replace("of_value", "of_calls").removesuffix(")") + f", {cases!r})"
        try:
            reply = await self._request("", {"answer": ask}, self.limits.cell_seconds)
        except _NoReplyError:
            reason = f"ran longer than {self.limits.cell_seconds:g} seconds or ended the kernel{self._why()}"
            await self._stop(f"{exercise.id} {reason}")
            return exercise.lost(f"No answer arrived: `{exercise.variable}` {reason}.")
        except Exception:  # what this kernel sent is no message, and it is not to be trusted with more
            await self._stop(f"the answer to {exercise.id} did not arrive in a form that can be read")
            return exercise.lost(f"`{exercise.variable}` did not arrive in a form that can be read.")
        return _mark(exercise, reply)

    async def _request(self, code: str, expressions: dict[str, str], seconds: float) -> dict[str, Any]:
        """The reply to one silent request.

        Raises:
            _NoReplyError: none came in time, or the kernel is dead.
        """
        channels = cast(AsyncKernelClient, self.client.kc)
        sent = channels.execute(code, silent=True, store_history=False, user_expressions=expressions)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                reply = await channels.get_shell_msg(timeout=0.5)
            except (queue.Empty, TimeoutError):
                if not await self._manager.is_alive():
                    break
                continue
            if reply.get("parent_header", {}).get("msg_id") == sent:
                content: dict[str, Any] = reply["content"]
                return content
        raise _NoReplyError


class _NoReplyError(Exception):
    pass


def _mark(exercise: Exercise, reply: dict[str, Any]) -> Verdict:
    match reply.get("user_expressions"):
        case {"answer": {"status": "ok", "data": {Parcel.mime: str(text)}}}:
            try:
                return exercise.mark(read_json(text.encode()))
            except (ValueError, RecursionError):
                return exercise.lost(f"`{exercise.variable}` did not arrive in a form that can be read.")
        case {"answer": {"status": "error", "ename": "NameError"}}:
            return exercise.lost(f"`{exercise.variable}` is not defined: the cell that sets it failed or was deleted.")
    return exercise.lost(f"No answer arrived for `{exercise.variable}`: something in the notebook prevents reading it.")


def _is_graded(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def _error(name: str, text: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])
