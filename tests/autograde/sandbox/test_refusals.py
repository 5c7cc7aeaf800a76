"""Where a machine cannot sandbox, it says so, and how to proceed."""

import sys
from pathlib import Path

import pytest

from autograde.sandbox import view
from autograde.sandbox.forkserver import ForkServer
from autograde.sandbox.view import SandboxError
from tests.autograde.conftest import ROOT


def test_this_machine_can_sandbox():
    view.check(ROOT / "solutions", ROOT / "gradebook")


def test_without_bubblewrap_it_refuses_and_says_how_to_proceed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"(?s)bubblewrap \(bwrap\) is not installed.*apt install.*--no-sandbox"):
        view.check()


def test_where_bubblewrap_fails_it_refuses_with_bubblewraps_words(monkeypatch, tmp_path):
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SandboxError, match=r"(?s)setting up uid map: Permission denied.*userns"):
        view.check()
    with pytest.raises(SandboxError, match="setting up uid map"):
        ForkServer().connect()


def test_what_is_no_fault_of_the_machine_is_not_laid_at_bubblewraps_door(tmp_path, monkeypatch):
    """Such as a Python without `tarfile`'s filter: its own words, and no advice to install what is installed."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise TypeError('unexpected keyword argument')")
    monkeypatch.setattr(view, "_package_places", lambda: [ROOT / "autograde", ROOT / "vitlib", broken])
    with pytest.raises(SandboxError) as caught:
        ForkServer(warm=("broken",)).connect()
    assert str(caught.value) == "No kernel starts in the sandbox: TypeError: unexpected keyword argument."


def test_a_course_inside_the_view_is_refused():
    with pytest.raises(SandboxError, match="which learners' code can read: move the course elsewhere") as caught:
        view.check(Path(sys.prefix) / "course")
    assert "bubblewrap" not in str(caught.value)
