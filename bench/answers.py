"""How long `will_it_fit` takes to answer: every model in six ways, with nothing remembered from the answer before.

    python bench/answers.py

A full collection of Python's garbage collector that falls into an answer is taken apart: where torch is loaded it alone
takes longer than most answers, and it comes by itself, now and then, whatever a program does.
"""

import argparse
import gc
import statistics
import time

from vitlib.cost import Run
from vitlib.cost.budget import will_it_fit
from vitlib.cost.job import priced
from vitlib.presets import list_models

WAYS = (
    (Run(), 80),
    (Run(batch=64), "RTX 4090"),
    (Run(batch=64, training=False), 8),
    (Run(batch=512), 12),
    (Run(batch=512, precision="amp"), 24),
    (Run(batch=4096, precision="amp"), "T4"),
)


class Collections:
    """The seconds that full collections take."""

    def __init__(self) -> None:
        self.seconds = self.began = 0.0
        gc.callbacks.append(self.note)

    def note(self, phase: str, about: dict[str, int]) -> None:
        """The collector calls this where a collection begins ("start") and ends ("stop")."""
        if about["generation"] < 2:
            return
        if phase == "start":
            self.began = time.perf_counter()
        else:
            self.seconds += time.perf_counter() - self.began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds, full = parser.parse_args().rounds, Collections()
    spent, collecting = [], []  # seconds
    for _ in range(rounds):
        for model in list_models():
            for run, gpu in WAYS:
                priced.cache_clear()
                full.seconds, began = 0.0, time.perf_counter()
                will_it_fit(model, gpu, run)
                spent.append((time.perf_counter() - began - full.seconds, model, run.batch))
                collecting += [full.seconds] if full.seconds else []
    slowest, *slow = max(spent)
    print(f"{len(spent)} answers: median {1e3 * statistics.median(s for s, *_ in spent):.0f} ms, ", end="")
    print(f"slowest {1e3 * slowest:.0f} ms ({slow[0]}, batch {slow[1]})")
    if collecting:
        print(f"besides, {len(collecting)} full collections of {1e3 * statistics.median(collecting):.0f} ms")


if __name__ == "__main__":
    main()
