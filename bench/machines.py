"""Grading on two machines: how much faster are two dask workers than one, when they share nothing but a network?

    sudo python bench/machines.py                 chapter 1 with heavy cells, 24 submissions, 3 rounds
    sudo python bench/machines.py --students 12 --rounds 1

Each worker lives in a network namespace and a home of its own and reaches the scheduler over a virtual cable; what it
needs comes as bytes. One and two workers take turns. Efficiency is the time of one over twice the time of two,
counted from the first submission handed out to the last mark, on workers that have graded one before.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from classes import CHAPTER, hand_in, make_course

from autograde.course.course import Course
from autograde.course.grading import grade
from autograde.engine.workers import run_jobs


def address(number: int, host: int) -> str:
    """An address on the cable to machine `number`: host 1 is the grader's end, 2 the worker's."""
    return f"10.83.{number}.{host}"


@contextmanager
def machine(number: int) -> Iterator[str]:
    """A network namespace with one cable to this one; its name."""
    name, ours, theirs = f"grader-{number}", f"ag-{number}-here", f"ag-{number}-there"
    inside = ["ip", "netns", "exec", name]
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for command in (
            ["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name],
            ["ip", "address", "add", f"{address(number, 1)}/30", "dev", ours],
            ["ip", "link", "set", ours, "up"],
            [*inside, "ip", "address", "add", f"{address(number, 2)}/30", "dev", theirs],
            [*inside, "ip", "link", "set", theirs, "up"],
            [*inside, "ip", "link", "set", "lo", "up"],
        ):
            subprocess.run(command, check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)  # the cable goes with it


@contextmanager
def dask(kind: str, folder: Path, *arguments: str, inside: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A dask scheduler or worker with a home of its own, until the end of the block."""
    folder.mkdir()
    command = [*inside, sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
    environment = {**os.environ, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    log = (folder / "log").open("w+")
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=log, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        log.close()


@contextmanager
def scheduler(folder: Path, port: int, machines: list[str]) -> Iterator[str]:
    """A scheduler with a worker on each of these machines; its address."""
    with ExitStack() as stack:
        stack.enter_context(dask("scheduler", folder, "--port", str(port), "--dashboard-address", "127.0.0.1:0"))
        for number, name in enumerate(machines):
            there = f"tcp://{address(number, 1)}:{port}"
            options = (there, "--host", address(number, 2), "--nthreads", "1", "--no-dashboard", "--no-nanny")
            inside = ("ip", "netns", "exec", name)
            stack.enter_context(dask("worker", folder / name, *options, "--name", name, inside=inside))
        yield f"tcp://127.0.0.1:{port}"


def warm_up(course: Course, where: str, workers: int) -> None:
    """Every worker has joined, and has graded one submission."""
    from distributed import Client

    with Client(where) as client:
        client.wait_for_workers(workers, timeout=120)
    jobs = [course.job(CHAPTER, student) for student in list(course.submissions(CHAPTER))[:workers]]
    for _, result in run_jobs(jobs, 0, where):
        if isinstance(result, Exception):
            raise result


def seconds(course: Course, where: str) -> float:
    start = time.perf_counter()
    for graded in grade(course, CHAPTER, [], regrade=True, scheduler=where):
        assert not graded.failure, graded.failure
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=24, help="size of the class")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid():
        print("not run: network namespaces are made by root. Run it with sudo")
        return
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        course = make_course(Path(scratch, "course"), heavy=True)
        hand_in(options.students, course)
        names = [stack.enter_context(machine(number)) for number in range(2)]
        alone = stack.enter_context(scheduler(Path(scratch, "one"), 18786, names[:1]))
        both = stack.enter_context(scheduler(Path(scratch, "two"), 18787, names))
        warm_up(course, alone, 1)
        warm_up(course, both, 2)
        pairs = []
        for number in range(options.rounds):
            turn = {where: seconds(course, where) for where in ((alone, both) if number % 2 else (both, alone))}
            pairs.append((turn[alone], turn[both]))
            print(f"one worker {pairs[-1][0]:6.1f} s   two workers {pairs[-1][1]:6.1f} s", flush=True)
    efficiency = statistics.median(one / (2 * two) for one, two in pairs)
    print(f"{options.students} submissions with heavy cells, {options.rounds} rounds: efficiency {efficiency:.0%}")


if __name__ == "__main__":
    main()
