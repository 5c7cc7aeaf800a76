"""What the longer recipes found, as a JSON file for each: a chapter reads it, and one command computes it again."""

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

FOLDER = Path(__file__).parent


def write(name: str, found: dict[str, Any]) -> Path:
    """Store what a recipe found, in a file next to it."""
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def read(name: str) -> dict[str, Any]:
    """What the recipe of this name found when it was last run."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def with_spread(shares: list[float]) -> str:
    """Mean and standard deviation of shares, in per cent.

    >>> with_spread([0.5, 0.7])
    '60.0 ± 14.1'
    """
    return f"{100 * mean(shares):.1f} ± {100 * stdev(shares):.1f}" if len(shares) > 1 else f"{100 * shares[0]:.1f}"
