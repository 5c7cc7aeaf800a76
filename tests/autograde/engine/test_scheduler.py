"""Many machines: workers that were started elsewhere, share no folder with the grader, and get and give only bytes."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograde.cli import main
from autograde.course.course import Course
from autograde.course.grading import grade
from autograde.course.simulate import TEMPERAMENTS, simulate
from autograde.engine.watch import Watch
from tests.autograde.conftest import TOY
from tests.autograde.course.test_grading import gradebook_rows, in_order


@dataclass
class Cluster:
    """A dask scheduler of our own and its workers, each in a folder of its own."""

    root: Path
    started: dict[str, subprocess.Popen]
    address: str = ""

    def start(self, kind: str, name: str, *arguments: str) -> Path:
        """Returns the file that it logs to: nobody would read a pipe, which blocks its writer when it is full."""
        folder = self.root / name
        folder.mkdir()
        # a home of its own: what lies there, and in the grader's folder, is not this worker's to see
        environment = {**os.environ, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        environment["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "300s"  # who is busy is not gone
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        with (folder / "log").open("w") as log:
            self.started[name] = subprocess.Popen(command, cwd=folder, env=environment, stderr=log)
        return folder / "log"

    def start_worker(self, name: str) -> None:
        self.start("worker", name, self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--name", name)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, {})
    flags = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    log = cluster.start("scheduler", "scheduler", *flags)
    while not (found := re.search(r"Scheduler at:\s*(\S+)", log.read_text())):
        assert cluster.started["scheduler"].poll() is None, log.read_text()
        time.sleep(0.05)
    cluster.address = found[1]
    yield cluster
    for process in reversed(cluster.started.values()):
        process.terminate()
        process.wait()


def test_a_class_is_graded_by_workers_that_share_no_folder(course, cluster, tmp_path, capsys):
    cluster.start_worker("first")
    cluster.start_worker("second")
    simulate(course, TOY, len(TEMPERAMENTS))
    assert main(["grade", TOY, "--scheduler", cluster.address]) == 1  # an upload broke off: it is to be asked for again
    remote = gradebook_rows(course)
    here = Course(course.root)
    local = in_order(grade(here, TOY, [], regrade=True))
    assert len(local) == len(TEMPERAMENTS)
    assert gradebook_rows(course) == remote
    assert not [path for name in ("first", "second") for path in (tmp_path / name).rglob("*.ipynb")]


def test_a_class_whose_workers_are_gone_says_so_and_goes_on_with_the_next(course, cluster, door):
    cluster.start_worker("first")
    said = []

    def say(text):
        said.append(text)
        if "at worker first" in text:
            cluster.started["first"].kill()
        if "no worker" in text and "second" not in cluster.started:
            cluster.start_worker("second")
        if "at worker second" in text:
            door.touch()

    results = list(grade(course, TOY, [], scheduler=cluster.address, watch=Watch(0.5, say)))
    assert [result.points for result in results] == [9, 9]
    assert any("student-001, student-002, for" in text for text in said)
    steps = [step for text in said for step in ("worker first", "no worker", "worker second") if f"at {step}" in text]
    assert list(dict.fromkeys(steps)) == ["worker first", "no worker", "worker second"]


def test_where_no_scheduler_answers_the_command_says_so(course, monkeypatch, capsys):
    monkeypatch.setattr("autograde.engine.workers._PATIENCE", 1)
    simulate(course, TOY, 1)
    assert main(["grade", TOY, "--scheduler", "tcp://127.0.0.1:9"]) == 1
    assert "no dask scheduler with a worker answers at tcp://127.0.0.1:9" in capsys.readouterr().err
