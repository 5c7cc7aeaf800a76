"""Every command explains itself at once; what it needs is imported when it runs."""

import importlib
import subprocess
import sys

import pytest

from autograde.cli import main
from autograde.commands import COMMANDS

SLOW = ("nbgrader", "nbformat", "torch", "dask", "jupyter_client")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_help_text_and_says_it(name, capsys):
    text = importlib.import_module(f"autograde.commands.{name}").__doc__
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert " ".join(text.split()) in " ".join(capsys.readouterr().out.split())


def test_help_imports_nothing_slow():
    script = f"""
import sys
from autograde.cli import main
try:
    main(["grade", "--help"])
except SystemExit:
    print("imported:", [name for name in {SLOW!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("imported: []\n")


def test_outside_a_course_every_command_says_so_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    needed = {"simulate": ["3"], "extend": ["ada", "01-toy", "--days", "1"], "collect": ["in.zip"]}
    for name in COMMANDS:
        assert main([name, *needed.get(name, [])]) == 1
        error = capsys.readouterr().err
        assert "run this inside the course's folder" in error and error.count("\n") == 1
