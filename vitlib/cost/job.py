"""A job, which is a model and how it is run: its peak, its work, and variations of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from vitlib.backbones.presets import Config
from vitlib.cost import Run, cost

priced = lru_cache(maxsize=512)(cost)  # the same is asked again and again


@dataclass(frozen=True)
class Job:
    """A model, and how it is run."""

    config: Config
    run: Run
    steps: int = 1  # forward and backward passes whose gradients are added up before the optimizer's step

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


def largest(need: Callable[[int], int], room: int, limit: int | None = None) -> int:
    """The largest n from 1 to `limit` with need(n) ≤ room, 0 for none, where a larger n never needs less.

    Need is taken for a straight line, through the ends of what is still open; where it is bent, halving helps.

    >>> largest(lambda n: 1000 + 3 * n, room=1110), largest(lambda n: n**2, room=1000, limit=20)
    (36, 20)
    """
    few, more = 1024, 2048  # many, so that what does not grow with n counts for little
    slope = max(need(more) - need(few), 1)
    n = more + (room - need(more)) * (more - few) // slope
    good, bad, tries = 0, limit + 1 if limit else None, 0
    while bad is None or bad - good > 1:
        n = max(n, good + 1) if bad is None else min(max(n, good + 1), bad - 1)
        found = need(n)
        good, bad = (n, bad) if found <= room else (good, n)
        tries += 1
        if tries > 3 and bad is not None:
            n = (good + bad) // 2
        else:
            n += (room - found) * (more - few) // slope + (n if tries > 3 else 0)
    return good
