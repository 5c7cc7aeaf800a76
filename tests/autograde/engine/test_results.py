"""Results are whole, whoever writes at the same time; and what nobody needs any more goes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autograde.engine.results import Results, scratch_folder, write_whole

WRITE = """
import sys
from pathlib import Path
from autograde.engine.results import write_whole
for number in range(200):
    write_whole(Path(sys.argv[1]), sys.argv[2].encode() * 50_000)
"""


def test_two_writers_of_one_result_do_not_race(tmp_path):
    path = tmp_path / "result.ipynb"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, path, letter]) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            assert path.read_bytes() in (b"a" * 50_000, b"b" * 50_000)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "whole", b"x")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_runs_left_and_what_is_long_unused_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    results = Results(tmp_path / "results")
    (tmp_path / "tmp").mkdir()
    results.sweep()
    for name in ("new", "old", "asked"):
        results.put(name, b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    long_ago = time.time() - 365 * 24 * 3600
    for name in ("old", "asked"):
        os.utime(results.folder / f"{name}.ipynb", (long_ago, long_ago))
    assert results.get("asked") is not None and results.get("never") is None
    dead = dead_process()
    (results.folder / f"x.ipynb.{dead}-abc.part").touch()
    (results.folder / f"x.ipynb.{os.getpid()}-abc.part").touch()
    with scratch_folder() as mine:
        theirs = Path(tempfile.mkdtemp(prefix=f"autograde-{dead}-"))
        recent = Path(tempfile.mkdtemp(prefix=f"ag-{dead}-"))  # of whatever machine
        elsewhere = Path(tempfile.mkdtemp(prefix=f"autograde-01234567-{dead}-"))
        killed = Path(mine.parent, mine.name.replace(f"-{os.getpid()}-", f"-{dead}-"))
        killed.mkdir()
        os.utime(theirs, (long_ago, long_ago))
        (tmp_path / "tmp" / f"autograde-{dead}").symlink_to("/")
        results.sweep()
        assert mine.exists() and recent.exists() and elsewhere.exists()
        assert not theirs.exists() and not killed.exists()
    kept = sorted(path.name for path in results.folder.iterdir())
    assert kept == ["asked.ipynb", "new.ipynb", f"x.ipynb.{os.getpid()}-abc.part"]
