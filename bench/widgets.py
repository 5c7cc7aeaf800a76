"""How long a learner waits for a widget: from a change of one of its controls to the new picture, in the kernel.

    python bench/widgets.py                  200 random changes of each widget
    python bench/widgets.py --changes 1000

Each change takes one control of a widget, any that is not disabled, to another of its values, all equally likely. When
the assignment returns, the new picture has been handed to the browser, whose own share is a few milliseconds.
"""

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import Checkbox, IntSlider, VBox
from tqdm import tqdm

from vitlib.data.datasets import digits
from vitlib.models import create
from vitlib.widgets.attention import attention_explorer
from vitlib.widgets.budget import budget_explorer
from vitlib.widgets.embedding import embedding_explorer
from vitlib.widgets.grid import grid_explorer
from vitlib.widgets.picker import Picker
from vitlib.widgets.pipeline import pipeline
from vitlib.widgets.positions import position_explorer
from vitlib.widgets.readout import layer_readout
from vitlib.widgets.symptoms import symptom_board
from vitlib.widgets.training import training_curves
from vitlib.widgets.windows import window_explorer

WIDGETS: dict[str, Callable[[], VBox]] = {
    "pipeline": pipeline,
    "grid explorer": grid_explorer,
    "embedding explorer": embedding_explorer,
    "position explorer": position_explorer,
    "attention explorer": attention_explorer,
    "budget explorer": budget_explorer,
    "symptom board": symptom_board,
    "training curves": training_curves,
    "window explorer": window_explorer,
    "layer readout": lambda: layer_readout(create("vit_digits_patch2_8", seed=0), digits()[1].take(slice(0, 10))),
}


def choices(widget: VBox) -> list[tuple[Any, str, Sequence[Any]]]:
    """Every control of a widget, the trait that a learner changes, and the values that it can take."""
    found: list[tuple[Any, str, Sequence[Any]]] = []
    for control in vars(widget).values():
        if isinstance(control, IntSlider):
            found.append((control, "value", range(control.min, control.max + 1)))
        elif isinstance(control, Checkbox):
            found.append((control, "value", (False, True)))
        elif isinstance(control, Picker):
            found.append((control, "chosen", range(control.first, control.rows * control.columns + 1)))
        elif getattr(control, "options", None):
            found.append((control, "value", [value for _, value in control._options_full]))
    return [choice for choice in found if not getattr(choice[0], "disabled", False)]


def milliseconds(widget: VBox, dice: random.Random) -> float:
    """The time of one change."""
    control, trait, values = dice.choice([choice for choice in choices(widget) if len(choice[2]) > 1])
    value = dice.choice([value for value in values if value != getattr(control, trait)])
    start = time.perf_counter()
    setattr(control, trait, value)
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=200, help="of each widget")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.changes} changes of each widget")
    print(f"{'':20} {'p50 ms':>7} {'p95 ms':>7} {'worst ms':>9}")
    for name, make in WIDGETS.items():
        widget, dice = make(), random.Random(options.seed)
        times = [milliseconds(widget, dice) for _ in tqdm(range(options.changes), desc=name, leave=False)]
        print(
            f"{name:20} {statistics.median(times):7.1f} {statistics.quantiles(times, n=20)[-1]:7.1f} {max(times):9.1f}"
        )


if __name__ == "__main__":
    main()
