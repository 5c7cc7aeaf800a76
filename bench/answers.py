"""How long `will_it_fit` takes to answer: every model in six ways, with nothing remembered from the answer before.

    python bench/answers.py

Nothing is taken out of the seconds. The garbage collector waits for an answer to end, and may run between two.
"""

import argparse
import statistics
import time

from vitlib.cost import Run
from vitlib.cost.budget import will_it_fit
from vitlib.cost.job import priced
from vitlib.models import list_models

WAYS = (
    (Run(), 80),
    (Run(batch_size=64), "RTX 4090"),
    (Run(batch_size=64, training=False), 8),
    (Run(batch_size=512), 12),
    (Run(batch_size=512, precision="amp"), 24),
    (Run(batch_size=4096, precision="amp"), "T4"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    spent = []  # seconds
    for _ in range(parser.parse_args().rounds):
        for model in list_models():
            for run, gpu in WAYS:
                priced.cache_clear()
                _ = [[] for _ in range(1000)]  # a program goes on between answers, and a collection put off comes then
                began = time.perf_counter()
                will_it_fit(model, gpu, run)
                spent.append((time.perf_counter() - began, model, run.batch_size))
    slowest, *slow = max(spent)
    print(f"{len(spent)} answers: median {1e3 * statistics.median(s for s, *_ in spent):.0f} ms, ", end="")
    print(f"slowest {1e3 * slowest:.0f} ms ({slow[0]}, batch {slow[1]})")


if __name__ == "__main__":
    main()
