"""What others on this machine could read, and what learners are handed that they should not have."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from autograde.course.course import Course
from autograde.course.database import gradebook_file
from autograde.course.release import find_leaks
from autograde.doctor import Finding

# What an nbgrader release must have lost
_MARKS = ("### BEGIN HIDDEN TESTS", "=== BEGIN MARK SCHEME ===")


def leaks(course: Course) -> Iterator[Finding]:
    run = course.submitted.parent
    for folder, what in ((course.solutions, "the keys"), (run, "submissions, marks and feedback")):
        if is_open(folder):
            yield Finding(f"others on this machine can read {folder.name}/: {what}", f"chmod 700 {folder}")
    database = gradebook_file(course)
    if database is not None and not database.is_relative_to(run) and is_open(database):
        yield Finding(f"others on this machine can read the gradebook {database}", f"chmod 600 {database}")
    yield from _exchange(course, run)
    for chapter in course.chapters:
        if (course.released / chapter).is_dir():
            yield from _released(course, chapter, course.released / chapter)
        outbound = exchange_root(course) / course.id / "outbound" / chapter
        if outbound.is_dir() and os.access(outbound, os.R_OK | os.X_OK):
            yield from _released(course, chapter, outbound)
    yield from _in_git(course, run)


def is_open(path: Path) -> bool:
    """Whether somebody else on this machine can read `path`, or list it."""
    try:
        outer = [parent.resolve() for parent in path.resolve().parents]
        return all(_lets(parent, 0o001, 0o010) for parent in outer) and _lets(path, 0o005, 0o050)
    except OSError:  # it is not there
        return False


def _lets(path: Path, others: int, group: int) -> bool:
    facts = path.stat()
    return bool(facts.st_mode & others or (facts.st_mode & group and _is_shared(facts)))


def _is_shared(facts: os.stat_result) -> bool:
    """Whether a file's group is more than its owner's own."""
    try:
        members = set(grp.getgrgid(facts.st_gid).gr_mem) - {pwd.getpwuid(facts.st_uid).pw_name}
        return bool(members or any(user.pw_gid == facts.st_gid != facts.st_uid for user in pwd.getpwall()))
    except KeyError:  # no such user or group here: a container's
        return False


def exchange_root(course: Course) -> Path:
    """The folder through which nbgrader releases and collects: the one configured, or nbgrader's default."""
    return Path(str(course.config.get("Exchange", {}).get("root", "/usr/local/share/nbgrader/exchange")))


def _exchange(course: Course, run: Path) -> Iterator[Finding]:
    root = exchange_root(course)
    if root.resolve().is_relative_to(course.root.resolve()):
        yield Finding(
            f"the exchange {root} lies in the course: whoever may use it gets into the course's folder",
            "set c.Exchange.root in nbgrader_config.py to a folder outside, and move what is in it there",
        )
    elif any((run / "exchange").glob("*/*/*")):
        yield Finding(
            f"an old exchange lies in {run.name}/exchange",
            f"move what is in it to {root}, then rm -r {run / 'exchange'}",
            serious=is_open(run / "exchange"),
        )


def _released(course: Course, chapter: str, folder: Path) -> Iterator[Finding]:
    fix = f"autograde release --force {chapter}"
    if not folder.is_relative_to(course.root):
        fix += f", then nbgrader release_assignment --force {chapter}"
    where = folder.relative_to(course.root) if folder.is_relative_to(course.root) else folder
    try:
        found = [f"{where}: {leak}" for leak in find_leaks(course, chapter, folder)]
        for path in sorted(folder.rglob("*.ipynb")):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{where}/{path.name} holds {mark!r}" for mark in _MARKS if mark in text]
        keys = [] if course.has_key(chapter) else sorted(folder.rglob("key.py"))  # else they are found already
        found += [f"{where}/{path.name} is the teacher's" for path in keys]
    except Exception as error:  # whatever a damaged notebook raises
        found = [f"{where} cannot be read ({type(error).__name__})"]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield Finding(f"{found[0]}{more}", fix)


def _in_git(course: Course, run: Path) -> Iterator[Finding]:
    """Marks in a repository travel with every push."""
    git = ["git", "-c", "safe.directory=*", "-C", str(course.root), "ls-files", "--", str(run)]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0 and done.stdout.strip():
        yield Finding(f"git keeps {run.name}/, submissions and marks", f"git rm -r --cached {run.name}, and ignore it")
