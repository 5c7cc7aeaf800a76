"""One kernel from its start to its end: cells run in it, values are asked of it, and it may be gone at any moment."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from nbformat import NotebookNode

from autograde.answers.outcomes import Payload
from autograde.answers.serialize import pack
from autograde.engine.client import Channel, Shown
from autograde.engine.limits import Limits
from autograde.engine.reading import sendable
from autograde.sandbox.confine import Caps
from autograde.sandbox.process import Confined, Process, Unconfined

# What is tried behind the learner's code, in the words of the requests for answers, and what has to come
_CASES = json.dumps([[0.5, pack(np.ones(1))]])
TRIAL = f"__import__('autograde.answers.outcomes', fromlist=['Payload']).Payload.of_calls(lambda *all: all, {_CASES!r})"
TRIED = Payload.of_calls(lambda *all: all, _CASES)._repr_mimebundle_()[Payload.mime]
MAX_COUNT = 1_000_000  # cells that a kernel may have run
_PATIENCE = 5  # seconds for a kernel to answer after an interrupt


class KernelGone(Exception):
    """There is no kernel any more, or none to be trusted; the text says what became of it."""

    def __init__(self, what: str, reason: str = "", for_sure: bool = False):
        super().__init__(f"{what}: {reason}" if reason else what)
        self.took_too_much = bool(reason)  # it was ended for the memory that it held
        self.for_sure = for_sure  # whether the cell that ran has done it, and none before it


class Session:
    """A kernel for one notebook; start it with `started`."""

    def __init__(self, channel: Channel, process: Process, limits: Limits, held: int):
        self._channel, self._process, self._limits = channel, process, limits
        self._shown = Shown()
        self.held = held  # bytes of memory, after the last reply, as the kernel says
        self.broken = ""  # why the kernel is of no more use after the last reply, as it says, if it is not

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, limits: Limits) -> Iterator[Session]:
        """A kernel that works in `folder`; it is ended when the block is left.

        Raises:
            SandboxError: this machine cannot sandbox.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = _kernel(folder, limits, theirs.fileno())
            try:
                channel = Channel(ours, process)
                yield cls(channel, process, limits, held=_ready(channel, limits.overtime))
            finally:
                process.kill()
                process.close()

    def execute(self, cell: NotebookNode, ask: str = "", theirs: bool = True) -> dict[str, Any] | None:
        """Run a cell, its outputs into it; the kernel's reply, or None where it ran too long and was stopped.

        `ask` is an expression whose value comes with the reply, unless the cell fails. Behind a cell of `theirs`, the
        learners', the kernel tries itself.

        Raises:
            KernelGone: the cell ended the kernel, did not stop, or made it send what is not a message.
        """
        if not cell.source.strip() or "skip-execution" in cell.metadata.get("tags", []):
            return {"status": "ok"}
        self._shown.begin()

        def show(kind: str, content: dict[str, Any]) -> None:
            self._shown.take(cell.outputs, kind, content)

        try:
            expressions = {"answer": ask} if ask else {}
            reply = self._request(cell.source, expressions, self._limits.cell_seconds, show, theirs)
        except TimeoutError:
            self._interrupt()
            return None
        except EOFError:
            raise KernelGone("ended the kernel", self._why()) from None
        except Exception as error:  # what this kernel sent is not a message, and it is not to be trusted with more
            self._process.kill()
            raise KernelGone(f"made the kernel send what cannot be read ({type(error).__name__})") from None
        if any(isinstance(part, dict) and part.get("source") == "ask_exit" for part in _listed(reply.get("payload"))):
            self._process.kill()
            raise KernelGone("ended the kernel: it quits", for_sure=True)
        if self.broken:
            self._process.kill()
            raise KernelGone(f"broke the kernel ({self.broken})", for_sure=True)
        if isinstance(count := reply.get("execution_count"), int) and 0 <= count < MAX_COUNT:
            cell.execution_count = int(count)
        return reply

    def ask(self, code: str, expressions: dict[str, str], theirs: bool = False) -> dict[str, Any]:
        """The reply to one silent request; where it calls what is `theirs`, the kernel tries itself behind it.

        Raises:
            KernelGone: none came in time, or it cannot be read.
        """
        try:
            return self._request(code, expressions, self._limits.cell_seconds, theirs=theirs)
        except TimeoutError:
            self._process.kill()
            raise KernelGone(f"ran longer than {self._limits.cell_seconds:g} seconds") from None
        except EOFError:
            raise KernelGone("ended the kernel", self._why()) from None
        except Exception:  # what this kernel sent is not a message, and it is not to be trusted with more
            self._process.kill()
            raise KernelGone("did not arrive in a form that can be read") from None

    def _interrupt(self) -> None:
        """Stop a cell that ran too long; the notebook goes on if the kernel answers again."""
        reason = f"ran longer than {self._limits.cell_seconds:g} seconds"
        self._process.signal(signal.SIGINT)
        try:
            try:
                self._request("", {}, _PATIENCE)
            except ValueError:  # a message that the interrupt cut off
                self._request("", {}, _PATIENCE)
        except (TimeoutError, EOFError):
            raise KernelGone(f"{reason} and did not stop when asked to", self._why()) from None
        except Exception as error:  # what this kernel sent is not a message, and it is not to be trusted with more
            self._process.kill()
            raise KernelGone(f"{reason}, and then sent what cannot be read ({type(error).__name__})") from None

    def _why(self) -> str:
        """Why the kernel was killed, if a limit was the reason; nothing is left of it then."""
        self._process.kill()
        return self._process.reason

    def _request(
        self,
        code: str,
        expressions: dict[str, str],
        seconds: float,
        show: Callable[[str, dict[str, Any]], None] | None = None,
        theirs: bool = False,
    ) -> dict[str, Any]:
        """The kernel's reply; `show` is called with the outputs before it. Without `show` the request is a silent one.

        Raises what `Channel.receive` raises.
        """
        deadline = time.monotonic() + seconds
        name = secrets.token_hex(8)  # nobody knows it before it is sent
        request = {"id": name, "code": code, "silent": show is None, "expressions": expressions}
        self._channel.send({**request, "trial": TRIAL if theirs else ""}, deadline)
        while True:
            match self._channel.receive(deadline):
                case {"type": "reply", "id": answered, "content": content, "held": int(held), **rest} if (
                    answered == name
                ):
                    self.held, self.broken = held, _broken(rest.get("tried")) if theirs else ""
                    return dict(content)
                case {"type": str(kind), "content": content} if show is not None:
                    show(kind, content)


def _broken(tried: Any) -> str:
    """What keeps a kernel from running cells and giving answers, by what the trial gave; nothing, if all is well."""
    match tried:
        case {"data": {Payload.mime: text}} if text == TRIED:
            return ""
        case {"ename": str(name), "evalue": str(value)}:
            return sendable(f"{name}: {value}")[:200]
    return "it gives no answers"


def _ready(channel: Channel, seconds: float) -> int:
    """The bytes of memory that a kernel holds before anything has run in it, once it has sent its first message."""
    try:
        return int(channel.receive(time.monotonic() + seconds)["held"])
    except (TimeoutError, EOFError):
        raise RuntimeError("the kernel did not answer") from None


def _kernel(folder: Path, limits: Limits, pipe: int) -> Process:
    if not limits.sandbox:
        return Unconfined(folder, "autograde.sandbox.piped", pipe)
    return Confined(folder, Caps(limits.memory, limits.processes, limits.scratch), [pipe])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
