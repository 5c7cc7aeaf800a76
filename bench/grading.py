"""Grading a class: autograde beside stock nbgrader and otter, on the same submissions, on this machine, in one run.

    python bench/grading.py                                chapter 1, 10 submissions, 3 rounds: some minutes
    python bench/grading.py --heavy                        the same with cells that compute for seconds
    python bench/grading.py --students 30 300 --rounds 1   how time and memory grow with the class
    python bench/grading.py --otter ~/otter/bin/otter      otter, from an environment that also has torch and autograde

Each grader is its own command, from its start to its last mark: `nbgrader autograde` in nbgrader's own configuration,
`otter run` for each submission, and `autograde grade` in its sandbox. They take turns, in a new order each round; a
ratio is the median, over the rounds, of the peer's time over ours on two jobs in the same round. CPU seconds are those
of the command and all that it starts, which other work on the machine hardly changes; root alone can count them, in a
control group. Memory is the peak of all of them together, each page divided by the number of its holders (PSS).
"""

import argparse
import math
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from classes import CHAPTER, hand_in, make_course, make_otter_assignment, make_stock_course

OURS = "autograde, 2 jobs"
CPUACCT = Path("/sys/fs/cgroup/cpuacct")


@dataclass(frozen=True)
class Turn:
    seconds: float  # from the command's start to its end
    cpu: float  # seconds of all processors together; nan where they could not be counted
    memory: float  # MiB, at the peak


class Meter:
    """Counts the CPU seconds of a command and of all that it starts, in a control group."""

    def __init__(self) -> None:
        self.group = CPUACCT / f"bench-{os.getpid()}"
        self.counts = os.geteuid() == 0 and CPUACCT.is_dir()
        if self.counts:
            self.group.mkdir()

    def join(self) -> None:
        """Called in the process that becomes the command."""
        if self.counts:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def stop(self) -> float:
        if not self.counts:
            return math.nan
        seconds = int((self.group / "cpuacct.usage").read_text()) / 1e9
        while (self.group / "cgroup.procs").read_text():
            time.sleep(0.1)  # the last processes are ending
        self.group.rmdir()
        return seconds


class Memory(threading.Thread):
    """Looks at the memory of a process and its descendants, until it is told that the process has ended."""

    def __init__(self, process: int):
        super().__init__()
        self.root, self.peak, self.ended = psutil.Process(process), 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(2):  # to look is work too: the system counts pages
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.peak = max(self.peak, sum(map(_held, family)) / 2**20)


def _held(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0


def run(commands: list[list[str]], folder: Path) -> Turn:
    """Run the commands one after another."""
    meter, start, peak = Meter(), time.perf_counter(), 0.0
    for command in commands:
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, preexec_fn=meter.join)
            memory = Memory(process.pid)
            memory.start()
            status = process.wait()
            memory.ended.set()
            if status:
                log.seek(0)
                sys.exit(f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')[-2000:]}")
        memory.join()
        peak = max(peak, memory.peak)
    seconds = time.perf_counter() - start
    return Turn(seconds, meter.stop(), peak)


def graders(folder: Path, heavy: bool, otter: str) -> tuple[dict[str, Callable[[int], Turn]], Callable[[int], None]]:
    """Each grader as a function of the number of students, and what hands the class in anew."""
    ours = make_course(folder / "ours", heavy)
    stock = make_stock_course(folder / "stock", ours)
    other = make_otter_assignment(folder / "otter", ours, otter) if otter else None
    python = [sys.executable, "-m"]

    def grade(jobs: int) -> Callable[[int], Turn]:
        def turn(count: int) -> Turn:
            hand_in(count, ours)
            return run([[*python, "autograde.cli", "grade", CHAPTER, "--jobs", str(jobs)]], ours.root)

        return turn

    def with_otter(count: int) -> Turn:
        names = [f"student-{number:03d}.ipynb" for number in range(count)]
        return run([[otter, "run", "--no-logo", "-a", "autograder.zip", name] for name in names], folder / "otter")

    chosen: dict[str, Callable[[int], Turn]] = {
        "nbgrader": lambda count: run([[*python, "nbgrader", "autograde", CHAPTER]], stock),
        "autograde, 1 job": grade(1),
        OURS: grade(2),
    }
    if otter:
        chosen["otter run"] = with_otter
    return chosen, lambda count: hand_in(count, ours, stock, other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, nargs="+", default=[10], help="sizes of the class")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--heavy", action="store_true", help="add cells that compute for seconds")
    parser.add_argument("--otter", default=shutil.which("otter") or "", help="the otter command; left out if none")
    parser.add_argument("--only", nargs="+", default=[], help="only these graders")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as scratch:
        chosen, begin = graders(Path(scratch), options.heavy, options.otter)
        chosen = {name: turn for name, turn in chosen.items() if not options.only or name in options.only}
        for count in options.students:
            turns: dict[str, list[Turn]] = {name: [] for name in chosen}
            for _ in range(options.rounds):
                begin(count)
                for name in random.sample(list(chosen), len(chosen)):
                    turns[name].append(chosen[name](count))
            report(count, turns)


def report(count: int, turns: dict[str, list[Turn]]) -> None:
    print(f"\n{CHAPTER}, {count} submissions, median of {len(turns[OURS])}")
    print(f"{'':18} {'s a submission':>15} {'times ' + OURS:>24} {'CPU s a submission':>19} {'peak MiB':>9}")
    for name, taken in turns.items():
        ratio = statistics.median(one.seconds / ours.seconds for one, ours in zip(taken, turns[OURS], strict=True))
        seconds = statistics.median(turn.seconds for turn in taken) / count
        cpu = statistics.median(turn.cpu for turn in taken) / count
        print(
            f"{name:18} {seconds:15.2f} {ratio:24.1f} {cpu:19.2f} {max(turn.memory for turn in taken):9.0f}", flush=True
        )


if __name__ == "__main__":
    main()
