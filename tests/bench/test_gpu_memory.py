"""The benchmark of memory where there is no GPU: which cases it has, what it makes of numbers, and what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gpu_memory import NO_CUDA, Case, Row, cases, table
from vitlib.cost import Run
from vitlib.cost.gpus import GIB

SCRIPT = Path(__file__).parents[2] / "bench" / "gpu_memory.py"


def row(name: str, predicted: float, measured: float, found: str = "backward", ran_out: bool = False) -> Row:
    """A row whose reserved memory is 1 GiB more than what is allocated. GiB."""
    both = [{"allocated": int(each * GIB), "reserved": int((each + 1) * GIB)} for each in (predicted, measured)]
    return Row(name, both[0] | {"needed": int((predicted + 2) * GIB)}, both[1], ("backward", found), ran_out)


def test_every_choice_is_among_the_cases() -> None:
    chosen = cases()
    assert len(chosen) >= 40
    assert len({case.name for case in chosen}) == len(chosen)
    assert len({case.model for case in chosen}) >= 6
    for training in (False, True):
        runs = [case.run for case in chosen if case.run.training == training]
        assert {run.precision for run in runs} == {"fp32", "amp", "bf16"}
        assert {name for run in runs for name in run.dropins} == {"window", "pool_stride", "merge"}
        assert {case.readable for case in chosen if case.run.training == training} == {False, True}
        assert len({(run.batch_size, case.side) for run, case in zip(runs, chosen, strict=False)}) >= 3
    assert {case.run.checkpointing for case in chosen} == {False, True}
    assert {case.run.optimizer for case in chosen} == {"adamw", "adamw-foreach", "sgd"}


@pytest.mark.parametrize("case", cases()[::8], ids=lambda case: case.name)
def test_the_gpu_of_a_case_is_the_smallest_that_is_said_to_be_large_enough(case: Case) -> None:
    fit = case.fit
    assert fit.fits
    assert fit.budget == fit.needed
    assert 0 < fit.allocated <= fit.reserved < fit.needed < 80 * GIB


def test_a_case_says_what_tells_it_from_the_others() -> None:
    plain = Case("vit_small_patch16_224", 224, Run(batch_size=64))
    other = Case("vit_small_patch16_224", 384, Run(batch_size=8, precision="amp", checkpointing=True, window=8), True)
    assert plain.name == "vit_small_patch16_224, 64 × 224 px, train, fp32"
    assert other.name == "vit_small_patch16_224, 8 × 384 px, train, amp, readable, checkpointing, window 8"
    assert other.config.fused is False
    assert other.config.image_size == (384, 384)


def test_the_table_has_the_median_the_worst_and_what_ran_out() -> None:
    rows = [row("a", 1.02, 1.0), row("b", 3.84, 4.0, found="step", ran_out=True), row("c", 2.0, 2.0)]
    assert list(table(rows)) == [
        "| case | phase | predicted, GiB | allocated, GiB | error | predicted, GiB | reserved, GiB | error |",
        "|---|---|---|---|---|---|---|---|",
        "| a | backward | 1.020 | 1.000 | +2.0% | 2.020 | 2.000 | +1.0% |",
        "| b | backward (measured: step) | 3.840 | 4.000 | -4.0% | 4.840 | 5.000 | -3.2% |",
        "| c | backward | 2.000 | 2.000 | +0.0% | 3.000 | 3.000 | +0.0% |",
        "",
        "allocated: median error 2.0%, worst -4.0% (b)",
        "reserved: median error 1.0%, worst -3.2% (b)",
        "said to fit, and ran out of memory: 1 of 3; b (5.84 GiB)",
    ]


def test_without_a_cuda_device_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    nothing = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ran = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, env=nothing, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, NO_CUDA + "\n", "")
    assert list(tmp_path.iterdir()) == []
