"""Which exercises have a tick, kept in a small text file that belongs to the learner.

`check` appends one line for every new tick to `my-progress.txt`, in the folder that holds the chapters: the day, the
chapter's folder and the exercise. Lines are only appended, so two notebooks can write at the same time. A line that
cannot be read is skipped and left in place.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from autograde.answers.sheet import FILE_NAME as SHEET
from autograde.answers.sheet import read_sheet

FILE_NAME = "my-progress.txt"
_LINE = re.compile(r"(\d{4}-\d\d-\d\d)\t([^\t]+)\t([^\t]+)")


@dataclass(frozen=True)
class Tick:
    day: str  # when it was first given, 2026-11-22
    chapter: str  # the chapter's folder
    exercise: str  # its id


@dataclass(frozen=True)
class Chapter:
    name: str  # its folder
    title: str  # the heading of its notebook, "3 · One token more, and a position for each"
    kinds: dict[str, str]  # of its exercises, by id, as their sheet calls them
    functions: frozenset[str]  # ids of the exercises that ask for a function
    solved: frozenset[str]  # ids of those with a tick

    @property
    def done(self) -> bool:
        return len(self.solved) == len(self.kinds)


@dataclass(frozen=True)
class Progress:
    """How far a learner has come in the chapters that lie in one folder."""

    chapters: tuple[Chapter, ...]
    days: int  # on which ticks were given
    unreadable: int  # lines of the file that could not be read
    not_kept: str = ""  # why nothing is noted in this folder; empty where it is

    @property
    def solved(self) -> int:
        return sum(len(chapter.solved) for chapter in self.chapters)

    @property
    def exercises(self) -> int:
        return sum(len(chapter.kinds) for chapter in self.chapters)

    def __str__(self) -> str:
        done = sum(chapter.done for chapter in self.chapters)
        return (
            f"{self.solved} of {self.exercises} exercises have their tick; "
            f"{done} of {len(self.chapters)} chapters are done."
        )


def note(exercise: str) -> None:
    """Record a tick for an exercise of the chapter in the working folder, unless it is recorded already.

    Nothing is recorded in a folder with keys, nor in one that cannot be written to. `check` works all the same.
    """
    try:
        chapter = Path.cwd()
        if holds_keys(chapter.parent):
            return
        text = read_text(chapter.parent)
        if all((tick.chapter, tick.exercise) != (chapter.name, exercise) for tick in read_ticks(text)[0]):
            start = "" if not text or text.endswith("\n") else "\n"  # after a line that was cut short
            line = f"{start}{date.today()}\t{chapter.name}\t{exercise}\n"
            with (chapter.parent / FILE_NAME).open("ab") as file:
                file.write(line.encode("utf-8", "replace"))
    except OSError:
        return


def holds_keys(book: Path) -> bool:
    """Whether this is a teacher's folder, where notebooks contain their solutions."""
    return any(book.glob("*/key.py"))


def read_text(book: Path) -> str:
    """What the file in the folder `book` says, empty where there is none.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        return (book / FILE_NAME).read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def read_ticks(text: str) -> tuple[list[Tick], int]:
    """The ticks in the text of a file, and how many of its lines could not be read."""
    lines = [line.strip("\r") for line in text.split("\n") if line.strip()]
    matches = [_LINE.fullmatch(line) for line in lines]
    return [Tick(*match.groups()) for match in matches if match], matches.count(None)


def read_progress(book: Path) -> Progress:
    """Every chapter in the folder `book` that has exercises, with its ticks."""
    try:
        ticks, unreadable = read_ticks(read_text(book))
        not_kept = _why_not_kept(book)
    except OSError as error:
        ticks, unreadable, not_kept = [], 0, f"{FILE_NAME} cannot be opened ({error.strerror}): no tick is noted."
    chapters = []
    for path in sorted(book.glob(f"*/{SHEET}")):
        name = path.parent.name
        try:
            entries = read_sheet(path.parent)["exercises"]
            kinds = {exercise: entry["kind"] for exercise, entry in entries.items()}
            functions = frozenset(exercise for exercise, entry in entries.items() if "examples" in entry)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged: its own notebook says what to do
            continue
        if kinds:
            solved = frozenset(tick.exercise for tick in ticks if tick.chapter == name) & kinds.keys()
            chapters.append(Chapter(name, _title(path.parent), kinds, functions, solved))
    return Progress(tuple(chapters), len({tick.day for tick in ticks}), unreadable, not_kept)


def _title(chapter: Path) -> str:
    """The first heading of the chapter's notebook; the folder's name where there is none to be read."""
    try:
        cells = json.loads((chapter / f"{chapter.name}.ipynb").read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        return next(line.removeprefix("# ") for line in "\n".join(texts).splitlines() if line.startswith("# "))
    except (OSError, ValueError, LookupError, TypeError, StopIteration):  # missing, damaged, or the heading deleted
        return chapter.name


def _why_not_kept(book: Path) -> str:
    if holds_keys(book):
        return f"This is a teacher's folder, with keys: no tick is noted here. A learner's are, in {FILE_NAME}."
    if not os.access(book, os.W_OK):
        return "Nothing can be written in this folder: no tick is noted. Copy the chapters to a folder of your own."
    return ""


def forget(book: Path) -> None:
    """Start over: delete all ticks of this folder. Answers stay, since they are in the notebooks.

    Raises:
        OSError: the file cannot be removed.
    """
    (book / FILE_NAME).unlink(missing_ok=True)
