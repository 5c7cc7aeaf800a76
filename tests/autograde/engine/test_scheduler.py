"""Many machines: workers that were started elsewhere, share no folder with the grader, and get and give only bytes."""

import os
import subprocess
import sys

import pytest
from tests.autograde.commands.test_grading import gradebook_rows, in_order

from autograde.cli import main
from autograde.course.course import Course
from autograde.course.grading import grade
from autograde.course.simulate import TEMPERAMENTS, simulate
from tests.autograde.conftest import TOY


@pytest.fixture
def scheduler(tmp_path):
    """A dask scheduler and two workers, each in a folder of its own; its address."""
    started = []

    def start(kind, name, *arguments):
        folder = tmp_path / name
        folder.mkdir()
        # a home of its own: what lies there, and in the grader's folder, is not this worker's to see
        environment = {**os.environ, "HOME": str(folder), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    server = start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    address = next(line.split()[-1] for line in server.stderr if "Scheduler at:" in line)
    for name in ("first", "second"):
        start("worker", name, address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--name", name)
    yield address
    for process in reversed(started):
        process.terminate()
        process.communicate(timeout=60)


def test_a_class_is_graded_by_workers_that_share_no_folder(course, scheduler, tmp_path, capsys):
    simulate(course, TOY, len(TEMPERAMENTS))
    assert main(["grade", TOY, "--scheduler", scheduler]) == 0
    remote = gradebook_rows(course)
    here = Course(course.root)
    local = in_order(grade(here, TOY, [], regrade=True))
    assert len(local) == len(TEMPERAMENTS)
    assert gradebook_rows(course) == remote
    assert not [path for name in ("first", "second") for path in (tmp_path / name).rglob("*.ipynb")]


def test_where_no_scheduler_answers_the_command_says_so(course, capsys):
    simulate(course, TOY, 1)
    assert main(["grade", TOY, "--scheduler", "tcp://127.0.0.1:9"]) == 1
    assert "no dask scheduler with a worker answers at tcp://127.0.0.1:9" in capsys.readouterr().err
