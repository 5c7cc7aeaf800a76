"""While no result arrives for some time: say what is being waited for."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a job is being done."""

    name: str  # of the worker, and when it was last heard of
    stack: str = ""  # what it does at this moment


class Watch:
    """A context manager that explains silence: it calls `say` whenever nothing has arrived for `seconds`.

    `verbose`: with what each worker is doing, line by line. Without `seconds` it does nothing.
    """

    def __init__(self, seconds: float = 0, say: Callable[[str], object] = print, verbose: bool = False):
        self.seconds, self.say, self.verbose = seconds, say, verbose
        self.students: Mapping[str, Sequence[str]] = {}  # by fingerprint of their job
        self.places: Callable[[], Mapping[str, Place]] = self._here  # of jobs, by fingerprint; it may raise anything
        self._since: dict[str, float] = {}  # when each job that has not ended was handed out
        self._news = self._began = time.monotonic()  # when something last arrived, or was last said
        self._ended = 0  # jobs
        self._over = threading.Event()
        self._watched = threading.get_ident()

    def __enter__(self) -> Watch:
        self._watched, self._news, self._began = threading.get_ident(), time.monotonic(), time.monotonic()
        if self.seconds:
            threading.Thread(target=self._look, name="watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def began(self, fingerprint: str) -> None:
        self._since[fingerprint] = time.monotonic()

    def ended(self, fingerprint: str) -> None:
        self._since.pop(fingerprint, None)
        self._ended, self._news = self._ended + 1, time.monotonic()

    def _look(self) -> None:
        while not self._over.wait(max(0.0, self._news + self.seconds - time.monotonic())):
            if (silent := time.monotonic() - self._news) >= self.seconds:
                self.say(f"nothing has arrived for {silent:.0f} s; waiting for\n{self._explained()}")
                self._news = time.monotonic()

    def _explained(self) -> str:
        now, since = time.monotonic(), dict(self._since)
        if not since:
            what = "the gradebook, which takes the last marks" if self._ended else "workers to start"
            return self._line(f"{what}, for {now - self._began:.0f} s", self._stack())
        try:
            places, unknown = self.places(), "no worker: none is free, or none is left"
        except Exception as error:  # the class goes on, whatever is said of it
            places, unknown = {}, f"a worker that the scheduler does not name ({type(error).__name__}: {error})"
        lines = []
        for fingerprint, moment in since.items():
            place = places.get(fingerprint, Place(unknown))
            who = ", ".join(self.students.get(fingerprint, ["a submission"]))
            lines.append(self._line(f"{who}, for {now - moment:.0f} s, at {place.name}", place.stack))
        return "\n".join(lines)

    def _line(self, text: str, stack: str) -> str:
        below = [f"    {line}" for line in stack.splitlines()] if self.verbose else []
        return "\n".join([f"  {text}", *below])

    def _here(self) -> Mapping[str, Place]:
        """Where there are no workers."""
        return dict.fromkeys(self._since, Place("this process", self._stack()))

    def _stack(self) -> str:
        """What the thread does that is being watched."""
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""
