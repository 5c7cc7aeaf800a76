"""One kernel from its start to its end: cells run in it, values are asked of it, and it may be gone at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import subprocess
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output

from autograde.engine.client import Intake
from autograde.engine.limits import Limits
from autograde.sandbox.confine import Caps
from autograde.sandbox.provisioner import SandboxProvisioner

Result = TypeVar("Result")
_PATIENCE = 5  # seconds for a kernel to answer after an interrupt


class KernelGone(Exception):
    """There is no kernel any more, or none to be trusted; the text says what became of it."""


class Session:
    """A kernel for one notebook; start it with `started`."""

    def __init__(self, client: Intake, limits: Limits):
        self.client, self.limits = client, limits

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, notebook: NotebookNode, folder: Path, limits: Limits) -> AsyncIterator[Session]:
        """A kernel that works in `folder`; it is ended when the block is left."""
        client = Intake(
            notebook,
            Caps(limits.memory, limits.processes, limits.scratch) if limits.sandbox else None,
            timeout=math.ceil(limits.cell_seconds),
            startup_timeout=math.ceil(limits.overtime),
            interrupt_on_timeout=False,
            allow_errors=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": str(folder)}},
        )
        async with client.async_setup_kernel(cleanup_kc=True, stderr=subprocess.DEVNULL):
            yield cls(client, limits)

    async def execute(self, cell: NotebookNode, index: int, ask: str = "") -> dict[str, Any] | None:
        """Run a cell, its outputs into it; the kernel's reply, or None where it ran too long and was stopped.

        `ask` is an expression whose value comes with the reply, unless the cell fails.

        Raises:
            KernelGone: the cell ended the kernel, did not stop, or made it send what is no message.
        """
        try:
            reply = await self.client.run(cell, index, {"answer": ask} if ask else {})
        except CellTimeoutError:
            await self._interrupt()
            return None
        except DeadKernelError:
            raise KernelGone(f"ended the kernel{self._why()}") from None
        except Exception as error:  # what this kernel sent is no message, and it is not to be trusted with more
            await self.stop()
            raise KernelGone(f"made the kernel send what cannot be read ({type(error).__name__})") from None
        if any(isinstance(part, dict) and part.get("source") == "ask_exit" for part in _listed(reply.get("payload"))):
            await self.stop()
            raise KernelGone("ended the kernel: it quits")
        return reply

    async def ask(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        """The reply to one silent request.

        Raises:
            KernelGone: none came in time, or it cannot be read.
        """
        try:
            return await self._request(code, expressions, self.limits.cell_seconds)
        except _NoReplyError:
            alive = await self._manager.is_alive()
            await self.stop()
            seconds = f"{self.limits.cell_seconds:g} seconds"
            raise KernelGone(f"ran longer than {seconds}" if alive else f"ended the kernel{self._why()}") from None
        except Exception:  # what this kernel sent is no message, and it is not to be trusted with more
            await self.stop()
            raise KernelGone("did not arrive in a form that can be read") from None

    async def stop(self) -> None:
        await self._manager.shutdown_kernel(now=True)

    async def _interrupt(self) -> None:
        """Stop a cell that ran too long; the notebook goes on if the kernel answers again."""
        reason = f"ran longer than {self.limits.cell_seconds:g} seconds"
        await self._manager.interrupt_kernel()
        try:
            try:
                await self._request("", {}, _PATIENCE)
            except ValueError:  # a message that the interrupt cut off, between its signature and its end
                await self._request("", {}, _PATIENCE)
        except _NoReplyError:
            why = self._why()
            await self.stop()
            raise KernelGone(f"{reason} and did not stop when asked to{why}") from None
        except Exception as error:  # what this kernel sent is no message, and it is not to be trusted with more
            await self.stop()
            raise KernelGone(f"{reason}, and then sent what cannot be read ({type(error).__name__})") from None

    @property
    def _manager(self) -> AsyncKernelManager:
        return cast(AsyncKernelManager, self.client.km)

    def _why(self) -> str:
        """Why the kernel was killed, if a limit was the reason."""
        provisioner = self._manager.provisioner
        return f": {provisioner.reason}" if isinstance(provisioner, SandboxProvisioner) and provisioner.reason else ""

    async def _request(self, code: str, expressions: dict[str, str], seconds: float) -> dict[str, Any]:
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


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def error_output(name: str, text: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=text, traceback=[f"{name}: {text}"])


def in_a_loop_of_its_own(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what talks to kernels, also where a loop runs already, as in formgrader.

    What a kernel that was stopped leaves behind, tasks and sockets, ends with this loop: the next one finds nothing.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
