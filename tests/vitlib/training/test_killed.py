"""A training run that is killed at twenty random moments ends with the same bits as one that never was."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vitlib.weights import files

ROOT = Path(__file__).parents[3]


def test_a_run_killed_at_twenty_random_moments_ends_with_the_same_bits(tmp_path):
    told = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed.py"), tmp_path],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.split()[0] == "20"
    whole, _ = files.read(tmp_path / "whole.safetensors")
    killed, _ = files.read(tmp_path / "killed.safetensors")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    snapshots = [files.read(tmp_path / f"{name}-run.safetensors") for name in ("whole", "killed")]
    assert all(torch.equal(snapshots[0][0][name], snapshots[1][0][name]) for name in snapshots[0][0])
    assert snapshots[0][1]["history"]["loss"] == snapshots[1][1]["history"]["loss"]


def test_too_little_memory_is_said_with_what_would_fit():
    """The address space of a process is limited to a little more than it has; a batch of 4096 then does not fit."""
    told = subprocess.run(
        [sys.executable, "-c", STARVED], env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    batch = int(told.stdout)
    assert 0 < batch < 4096


STARVED = """
import re, resource, torch
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.training.fit import Recipe, TrainingError, fit

torch.set_num_threads(1)
pictures = Pictures(torch.zeros(4096, 1, 8, 8, dtype=torch.uint8), torch.zeros(4096).long(), tuple("0123456789"))
has = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + 500_000_000, resource.RLIM_INFINITY))
try:
    fit(create("vit_digits_patch2_8"), pictures, recipe=Recipe(epochs=1, batch_size=4096), progress=False)
except TrainingError as error:
    print(re.search(r"4096 pictures a step do not fit in memory; (\\d+) would: take batch_size=\\1,", str(error))[1])
"""


@pytest.mark.parametrize("error", ["DefaultCPUAllocator: can't allocate memory", "CUDA out of memory."])
def test_torch_says_it_in_more_than_one_way(error):
    from vitlib.training.memory import out_of_memory

    assert out_of_memory(RuntimeError(error))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
