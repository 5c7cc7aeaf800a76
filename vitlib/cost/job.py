"""A job, which is a model and how it is run: its peak, its work, and variations of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from vitlib.backbones.presets import Config
from vitlib.cost import Run, cost
from vitlib.training.search import largest

priced = lru_cache(maxsize=512)(cost)  # the same is asked again and again


@dataclass(frozen=True)
class Job:
    """A model, and how it is run."""

    config: Config
    run: Run
    steps: int = 1  # forward and backward passes whose gradients are added up before the optimizer's step
    gpu: str = ""  # its name; "": one that computes in bfloat16

    @property
    def peak(self) -> int:
        """Bytes allocated at the peak.

        Gradients that are added up are there all the time, not from backward on. Otherwise nothing changes.
        """
        found = priced(self.config, self.run)
        if self.steps == 1 or not self.run.training:
            return found.peak
        gradients = found.phases["step"].gradients
        return max(phase.total - phase.gradients + gradients for phase in found.phases.values())

    @property
    def work(self) -> float:
        """FLOPs for a picture."""
        return sum(priced(self.config, self.run).flops.values()) / self.run.batch_size

    def reshaped(self, **changes: Any) -> "Job":
        """With another configuration."""
        return replace(self, config=replace(self.config, **changes))

    def rerun(self, steps: int = 1, **changes: Any) -> "Job":
        """With another way to run it."""
        return replace(self, run=replace(self.run, **changes), steps=self.steps * steps)


def largest_within(need: Callable[[int], int], room: int, limit: int | None = None) -> int:
    """The largest n from 1 to `limit` with need(n) ≤ room, 0 for none, where a larger n never needs less.

    The search begins where it would end if need were a straight line.

    >>> largest_within(lambda n: 1000 + 3 * n, room=1110), largest_within(lambda n: n**2, room=1000, limit=20)
    (36, 20)
    """
    few, more = 1024, 2048  # many, so that what does not grow with n counts for little
    slope = max(need(more) - need(few), 1)
    return largest(lambda n: need(n) <= room, limit, more + (room - need(more)) * (more - few) // slope)
