"""vitlib on a device that mixes with no other, as a GPU does: every job gives a CPU's answers, and none meets the CPU.

The jobs run in a process of their own, since torch takes such a device for good.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vitlib.second_device.jobs import JOBS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    command = [sys.executable, "-m", "tests.vitlib.second_device.jobs"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert lines.returncode == 0, lines.stderr
    return dict(json.loads(line) for line in lines.stdout.splitlines())


@pytest.mark.parametrize("job", [*JOBS, "a mistake is seen"])
def test_a_second_device_does_what_a_cpu_does(job: str, told: dict[str, str]) -> None:
    if job == "a mistake is seen":
        assert "Expected all tensors to be on the same device" in told[job]
    else:
        assert told[job] == ""
