"""A chapter on a second device, without a GPU: `python -m tests.vitlib.second_device.chapters 03-cls-and-positions`.

Its cells run one after the other, and those that fail are named. Training takes several times as long as on a CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.io import capture_output

from tests.vitlib.second_device.device import second_device

SOLUTIONS = Path(__file__).parents[3] / "solutions"


def failures(path: Path) -> list[str]:
    """A line for each cell of the notebook that fails."""
    shell, told = InteractiveShell(), []
    os.chdir(path.parent)
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        with capture_output():
            ran = shell.run_cell(cell.source)
        if error := ran.error_before_exec or ran.error_in_exec:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno} {last.line}"
            told.append(f"{path.stem}, cell {cell.id}: {type(error).__name__}: {str(error)[:200]} ({place})")
            print(told[-1], flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description="Run chapters on a second device, and name the cells that fail.")
    parser.add_argument("chapters", nargs="*", default=sorted(path.name for path in SOLUTIONS.iterdir()))
    given = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "agg")
    with second_device():
        told = [line for name in given.chapters for line in failures(SOLUTIONS / name / f"{name}.ipynb")]
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
