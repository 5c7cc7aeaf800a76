"""What a submission started ends with it, and leaves nothing to the next one."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from autograde.sandbox.process import final_message
from tests.autograde.conftest import ROOT
from tests.autograde.sandboxed import command_line, parent, processes, running, sandboxed, until


def test_what_a_submission_started_dies_with_it(tmp_path):
    marker = f"98{os.getpid()}"
    with sandboxed(tmp_path) as kernel:
        kernel.run(f"subprocess.Popen(['setsid', '-f', 'sleep', '{marker}']).wait()")
        assert until(lambda: running(marker))
    assert until(lambda: not running(marker))


def test_submissions_share_nothing(tmp_path):
    with sandboxed(tmp_path) as one, sandboxed(tmp_path) as other:
        one.run("for folder in ('/scratch', '/dev/shm', '.'): open(folder + '/from-one', 'w').close()")
        one.run("listener = socket.create_server(('127.0.0.1', 5555))")
        one.run("local = socket.socket(socket.AF_UNIX); local.bind('\\0from-one'); local.listen()")
        assert "from-one" not in other.run("print(os.listdir('/scratch'), os.listdir('/dev/shm'), os.listdir('.'))")
        assert other.outcome("socket.create_connection(('127.0.0.1', 5555), 1)") == "ConnectionRefusedError"
        assert other.outcome("socket.socket(socket.AF_UNIX).connect('\\0from-one')") == "ConnectionRefusedError"
        assert one.outcome("socket.create_connection(('127.0.0.1', 5555), 1).close()") == "None"


def test_a_killed_grader_leaves_no_process_behind(tmp_path):
    marker = f"97{os.getpid()}"
    grader = f"""
import os, signal, sys
from pathlib import Path
from tests.autograde.conftest import ROOT
from tests.autograde.sandboxed import until, command_line, parent, processes, running, sandboxed
with sandboxed(Path({str(tmp_path)!r})) as kernel:
    kernel.run("subprocess.Popen(['sleep', '{marker}'])")
    sys.stdout.write("started")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", grader], cwd=ROOT, stdout=subprocess.PIPE, timeout=300)
    assert (done.stdout, done.returncode) == (b"started", -signal.SIGKILL)
    assert until(lambda: not running(marker))


def test_a_kernel_dies_with_its_keeper(tmp_path):
    marker = f"96{os.getpid()}"
    with sandboxed(tmp_path) as kernel:
        kernel.run(f"subprocess.Popen(['sleep', '{marker}'])")
        assert until(lambda: running(marker))  # a program that has just started has no command line yet
        started = next(process for process in processes() if marker in command_line(process))
        os.kill(parent(parent(started)), signal.SIGKILL)  # the parent is the kernel, and the keeper is its parent
        assert until(lambda: not running(marker))
        assert kernel.ended


@pytest.mark.parametrize("crossing", [False, True])
def test_what_a_keeper_says_last_is_heard_even_where_a_signal_crosses_it(crossing):
    ours, keeper = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    said = {"ended": -9, "reason": "its processes held more than 256 MiB of memory together"}
    with ours:
        keeper.send(json.dumps(said).encode())
        if crossing:
            ours.send(b'{"signal": 9}')  # nobody reads it, and so the connection is reset
        keeper.close()
        assert final_message(ours) == said
        assert final_message(ours) == {}
