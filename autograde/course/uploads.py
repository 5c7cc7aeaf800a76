"""How learning platforms name what they hand out: who sent a file, under which name, and when.

- Moodle:     `Ada Lovelace_1234567_assignsubmission_file_/01-toy.ipynb`, the folder's part before the name, too
- Canvas:     `lovelaceada_LATE_4711_98765_01-toy.ipynb`
- Blackboard: `gradebook_MATH_Exercise 1_ada_attempt_2026-12-01-18-30-05_01-toy.ipynb`
- ILIAS:      `Exercise 1/Lovelace_Ada_ada.l_2345/20261201183005_01-toy.ipynb`
- else:       `ada/01-toy/01-toy.ipynb` or `ada/01-toy.ipynb`, as in a folder that a teacher or nbgrader made

Moodle's number is another one for each assignment, so that learners go by their name there, unless a roster knows
better (the assignment's grading worksheet has the number). An underscore may be part of an id on Blackboard and ILIAS:
the longest id that is known counts, else the part behind the last underscore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath

from autograde.answers.names import clean
from autograde.course.archive import Entry, files_within
from autograde.course.handed_in import is_notebook


@dataclass(frozen=True)
class Sender:
    """Whoever sent a file, as the platform names them."""

    ids: tuple[str, ...]  # what their id could be, the longest first
    number: str = ""  # the platform's own

    @property
    def name(self) -> str:
        return self.ids[-1]


@dataclass(frozen=True)
class Sent:
    """One file of a submission."""

    sender: Sender
    place: PurePosixPath  # in the submission, without what the platform put before its name
    entry: Entry
    when: datetime | None = None  # where the name says it: on the platform's clock, taken for this machine's
    late: bool = False  # the platform says so
    receipt: bool = False  # no part of the submission
    packed: str = ""  # the name of the learner's own ZIP that it was in


STAMP = "timestamp.txt"  # when it was handed in, as nbgrader's exchange says it
_MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)")
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<number>\d+)_\d+_(?P<rest>.+)")
_BLACKBOARD = re.compile(r"(?P<head>.+)_attempt_(?P<date>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+)|\.txt)")
_ILIAS = re.compile(r"(?P<names>.+_.+_.+)_(?P<number>\d+)")
_ILIAS_FILE = re.compile(r"(?P<date>\d{14})_(?P<rest>.+)")


def _moodle(path: PurePosixPath) -> tuple[Sender, PurePosixPath, str, bool] | None:
    for depth, part in enumerate(path.parts):
        if found := _MOODLE.fullmatch(part):
            inner = path.parts[depth + 1 :] or (found["rest"] or part,)
            return Sender((clean(found["name"]),), found["number"]), PurePosixPath(*inner), "", False
    return None


def _canvas(path: PurePosixPath) -> tuple[Sender, PurePosixPath, str, bool] | None:
    found = _CANVAS.fullmatch(path.name)
    if found is None:
        return None
    return Sender((found["number"],), found["number"]), PurePosixPath(found["rest"]), "", bool(found["late"])


def _blackboard(path: PurePosixPath) -> tuple[Sender, PurePosixPath, str, bool] | None:
    found = _BLACKBOARD.fullmatch(path.name)
    if found is None:
        return None
    return Sender(_endings(found["head"])), PurePosixPath(found["rest"] or ""), found["date"], False


def _ilias(path: PurePosixPath) -> tuple[Sender, PurePosixPath, str, bool] | None:
    for depth, part in enumerate(path.parts[:-1]):
        if found := _ILIAS.fullmatch(part):
            inner, date = list(path.parts[depth + 1 :]), ""
            if dated := _ILIAS_FILE.fullmatch(inner[-1]):
                inner[-1], date = dated["rest"], dated["date"]
            return Sender(_endings(found["names"]), found["number"]), PurePosixPath(*inner), date, False
    return None


def _endings(text: str) -> tuple[str, ...]:
    """What an id at the end of `text` could be.

    >>> _endings("Exercise_ada_l")
    ('Exercise_ada_l', 'ada_l', 'l')
    """
    parts = text.split("_")
    return tuple(clean("_".join(parts[start:])) for start in range(len(parts)) if parts[start])


_PLATFORMS: dict[str, Callable[[PurePosixPath], tuple[Sender, PurePosixPath, str, bool] | None]] = {
    "Moodle": _moodle,
    "Blackboard": _blackboard,
    "Canvas": _canvas,
    "ILIAS": _ilias,
}


def read_uploads(entries: Sequence[Entry], chapters: Iterable[str]) -> tuple[str, list[Sent], list[Entry]]:
    """The platform that named the files ("" for none), what was sent, and the files that nobody sent."""
    notebooks = [entry.path for entry in entries if is_notebook(entry.path.name) or is_zip(entry.path)]
    fitting = {name: sum(read(path) is not None for path in notebooks) for name, read in _PLATFORMS.items()}
    platform = max(fitting, key=lambda name: fitting[name])
    if not fitting[platform]:
        sent, strays = _plain(entries, notebooks, set(chapters))
        return "", _unpacked(sent), strays
    sent, strays = list[Sent](), list[Entry]()
    for entry in entries:
        found = _PLATFORMS[platform](entry.path)
        if found is None:
            strays.append(entry)
        else:
            sender, place, date, late = found
            receipt = place.name in ("", STAMP)  # the platform's own note; a learner's word about their own time
            sent.append(Sent(sender, place, entry, _date(date), late, receipt))
    return platform, _unpacked(sent), strays


def is_zip(path: PurePosixPath) -> bool:
    return path.suffix.lower() == ".zip"


def _unpacked(sent: Sequence[Sent]) -> list[Sent]:
    """What was sent, with what is in a ZIP in its place where a learner sent no notebook beside it.

    When it was handed in is for the platform to say: times that the learner's ZIP has are the learner's own.
    """
    whole = {(one.sender, one.when) for one in sent if is_notebook(one.place.name)}
    found: list[Sent] = []
    for one in sent:
        inner = files_within(one.entry) if is_zip(one.place) and (one.sender, one.when) not in whole else []
        inner = [replace(entry, when=one.entry.when) for entry in inner if entry.path.name != STAMP]
        places = [replace(one, place=one.place.parent / e.path, entry=e, packed=one.place.name) for e in inner]
        found += places or [one]
    return found


def _plain(
    entries: Sequence[Entry], notebooks: Sequence[PurePosixPath], chapters: set[str]
) -> tuple[list[Sent], list[Entry]]:
    """A folder a learner, perhaps with a folder a chapter in it, perhaps all of it in another folder."""
    homes = {path.parent for path in notebooks if path.parent.name and not chapters & set(path.parent.parts[1:])}
    depth = _shared(homes)
    sent, strays = [], []
    for entry in entries:
        parts = entry.path.parts
        chapter = next((place for place in range(1, len(parts) - 1) if parts[place] in chapters), 0)
        place = chapter - 1 if chapter else depth
        if len(parts) < place + 2:
            strays.append(entry)
        else:
            sent.append(Sent(Sender((clean(parts[place]),)), PurePosixPath(*parts[place + 1 :]), entry))
    return sent, strays


def _shared(folders: set[PurePosixPath]) -> int:
    """How many folders all of these lie in, beyond a learner's own."""
    if len(folders) == 1:
        return len(next(iter(folders)).parts) - 1
    depth = 0
    while folders and len({folder.parts[: depth + 1] for folder in folders}) == 1:
        depth += 1
    return depth


def _date(text: str) -> datetime | None:
    digits = text.replace("-", "")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S") if digits else None
    except ValueError:
        return None
