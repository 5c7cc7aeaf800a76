"""Submissions that a learning platform handed out, filed where `autograde grade` looks for them.

Nothing is lost on the way: a newer submission is never overwritten, one that is replaced is kept under
`gradebook/replaced/`, and what is not taken is named.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from autograde.answers.names import normal
from autograde.course.course import Course, CourseError
from autograde.course.file_errors import refused
from autograde.course.handed_in import is_notebook, stem
from autograde.course.identity import is_student
from autograde.course.people import people
from autograde.course.roster import Learner, Roster
from autograde.course.timestamps import read_time
from autograde.course.uploads import Sender, Sent

_COPY = re.compile(r"(.+?)(?: ?\((\d+)\)|[-_](\d+)|-[Cc]opy(\d*)| - (?:Copy|Kopie))")  # what a browser or Canvas adds


@dataclass(frozen=True)
class Taken:
    """What became of one learner's submission."""

    sender: str  # as the platform names them
    student: str = ""
    what: str = ""  # for people
    wrong: bool = False  # it was not filed, and a teacher has to do something


def collect(course: Course, sent: Sequence[Sent], chapter: str, roster: Roster | None) -> list[Taken]:
    """File what was sent; `chapter` where it is known, else it is found by the notebooks' names."""
    by_sender: dict[Sender, list[Sent]] = {}
    for one in sent:
        if not one.receipt:
            by_sender.setdefault(one.sender, []).append(one)
    directory = _Directory(course, roster)
    students = {sender: directory.student(sender) for sender in by_sender}
    chapters = {sender: chapter or _chapter(course, files) for sender, files in by_sender.items()}
    others = set(chapters.values()) - {""}
    if len(others) == 1:
        chapters = dict.fromkeys(chapters, others.pop())
    taken = []
    places = Counter((students[sender], chapters[sender]) for sender in by_sender)
    for sender, files in by_sender.items():
        try:
            if (same := places[students[sender], chapters[sender]]) > 1:
                raise CourseError(
                    f"{same} learners go by this name: pass --roster with the list that has their numbers"
                )
            taken.append(_file(course, sender, students[sender], chapters[sender], files))
        except CourseError as error:
            taken.append(Taken(sender.name, students[sender], str(error), wrong=True))
        except OSError as error:
            taken.append(Taken(sender.name, students[sender], f"cannot be filed: {refused(error)}", wrong=True))
    return taken


class _Directory:
    """Under which id the course knows a sender."""

    def __init__(self, course: Course, roster: Roster | None):
        self.roster = roster or Roster(())
        known = people(course)
        self.known = {normal(student): student for student in known}
        self.places: dict[int, str] = {}  # students by their place in the roster
        for person in known.values():
            row = Learner(id=person.id, first_name=person.first_name, last_name=person.last_name, email=person.email)
            try:
                place = self.roster.find(row)
            except CourseError:
                continue  # `autograde export` says so; here it only means that nobody is found that way
            if place is not None:
                self.places.setdefault(place, person.id)

    def student(self, sender: Sender) -> str:
        """Their id in the course: the one they have already, else the roster's, else the platform's."""
        place = self.roster.numbered(sender.number)
        for name in sender.ids if place is None else ():
            if normal(name) in self.known:
                return self.known[normal(name)]
            try:
                place = self.roster.find(Learner(id=name))
            except CourseError:  # several of that name
                continue
            if place is not None:
                break
        if place is None:
            return sender.name
        learner = self.roster.learners[place]
        return self.places.get(place) or self.known.get(normal(learner.main_id)) or learner.main_id


def _chapter(course: Course, files: Sequence[Sent]) -> str:
    """The chapter that these notebooks, or their folder, are called by; empty where none is."""
    for chapter in course.chapters:
        names = _notebooks(course, chapter)
        for one in files:
            if is_notebook(one.place.name) and (chapter in one.place.parts[:-1] or _stem(one.place)[0] in names):
                return chapter
    return ""


def _notebooks(course: Course, chapter: str) -> list[str]:
    return [path.stem for path in (course.solutions / chapter).glob("*.ipynb")]


def _stem(place: PurePosixPath) -> tuple[str, int]:
    """The name without what a second upload adds to it, and the number of the upload.

    >>> [_stem(PurePosixPath(name)) for name in ("01-toy.ipynb", "01-toy (2).ipynb", "01-toy-1.ipynb")]
    [('01-toy', 0), ('01-toy', 2), ('01-toy', 1)]
    """
    name = stem(place.name)
    if found := _COPY.fullmatch(name):
        return found[1], int(found[2] or found[3] or found[4] or 1)
    return name, 0


def _file(course: Course, sender: Sender, student: str, chapter: str, files: list[Sent]) -> Taken:
    if not chapter:
        raise CourseError("nothing tells which chapter this is: pass --chapter")
    if not student or not is_student(student) or {"/", "\0"} & set(student) or student != student.strip():
        raise CourseError(f"{student!r} cannot be the name of a folder: give the learner another id in the roster")
    newest = max((one.when for one in files if one.when), default=None)
    earlier = {one.when for one in files} - {newest}
    files = [one for one in files if one.when == newest]  # the last attempt
    content, said = _named(_notebooks(course, chapter), files)
    when = newest or _time_in(content.get("timestamp.txt", b"")) or max(one.entry.when for one in files)
    target = course.submitted / student / chapter
    if packed := sorted({one.packed for one in files if one.packed}):
        said.append(f"out of {', '.join(packed)}")
    if earlier:
        said.append(f"{len(earlier)} earlier attempt{'s' * (len(earlier) > 1)} not used")
    if any(one.late for one in files):
        said.append("marked as late there")
    if target.exists():
        if _same(target, content):
            return Taken(sender.name, student, f"{chapter} is there already")
        if _handed_in(target) >= when:
            return Taken(sender.name, student, f"{chapter}: what is there is as new or newer, and was kept")
        kept = course.submitted.parent / "replaced" / student / f"{chapter} {_handed_in(target):%Y-%m-%d %H.%M.%S}"
        said.append(f"the one before is in {kept.relative_to(course.root)}")
    else:
        kept = None
    if newest is not None:
        content["timestamp.txt"] = f"{newest.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode()
    _put(target, content, when, kept)
    return Taken(sender.name, student, "; ".join([f"{chapter}, {len(files)} file{'s' * (len(files) > 1)}", *said]))


def _named(expected: Sequence[str], files: Sequence[Sent]) -> tuple[dict[str, bytes], list[str]]:
    """Contents by the names that grading expects, and what there is to say about them.

    Raises:
        CourseError: there is no notebook.
    """
    notebooks = [one for one in files if is_notebook(one.place.name)]
    if not notebooks:
        names = ", ".join(sorted(one.place.name for one in files)[:5])
        raise CourseError(f"there is no notebook in it, but {names}: ask for the .ipynb file")
    said: list[str] = []
    chosen: dict[str, Sent] = {}
    for name in expected:
        versions = [one for one in notebooks if _stem(one.place)[0] == name]
        if not versions and len(expected) == len(notebooks) == 1:
            versions = notebooks
            said.append(f"{notebooks[0].place.name} was taken for it")
        if versions:
            chosen[name] = max(versions, key=lambda one: (_stem(one.place)[1], -len(one.place.parts)))
            if len(versions) > 1:
                said.append(f"of {len(versions)} versions {chosen[name].place} was taken")
    base = next(iter(chosen.values())).place.parent if chosen else PurePosixPath()
    content = {}
    for one in files:
        if one not in chosen.values():
            inner = one.place.relative_to(base) if one.place.is_relative_to(base) else one.place
            content[str(inner)] = one.entry.read()
    if not chosen:
        said.append(f"expected {', '.join(f'{name}.ipynb' for name in expected)}")
    return content | {f"{name}.ipynb": one.entry.read() for name, one in chosen.items()}, said


def _same(target: Path, content: Mapping[str, bytes]) -> bool:
    there = {path for path in target.rglob("*") if path.is_file() and path.name != "timestamp.txt"}
    if {path.relative_to(target).as_posix() for path in there} != content.keys() - {"timestamp.txt"}:
        return False
    return all(path.read_bytes() == content[path.relative_to(target).as_posix()] for path in there)


def _handed_in(target: Path) -> datetime:
    """When what is there was handed in, on this machine's clock: by its timestamp, else by its files."""
    stamp = target / "timestamp.txt"
    changed = [path.lstat().st_mtime for path in target.rglob("*") if path.is_file()]
    return _time_in(stamp.read_bytes() if stamp.is_file() else b"") or datetime.fromtimestamp(max(changed, default=0))


def _time_in(stamp: bytes) -> datetime | None:
    try:
        return datetime.fromtimestamp(read_time(stamp.decode()).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def _put(target: Path, content: Mapping[str, bytes], when: datetime, kept: Path | None) -> None:
    """Put the files in place, all of them or none; what was there before is moved to `kept`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".collecting-", dir=target.parent) as scratch:
        new = Path(scratch, "new")
        for name, data in content.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (when.timestamp(), when.timestamp()))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(kept, ignore_errors=True)
            target.rename(kept)
        new.rename(target)
