"""The files of a ZIP or a folder that came from elsewhere: no file is written under the name that it has there."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from autograde.answers.names import composed
from autograde.course.course import CourseError
from autograde.course.identity import is_student

MAX_FILES = 50_000
MAX_BYTES = 8 * 2**30  # of all files together, unpacked
MAX_FILE = 256 * 2**20
MAX_RATIO, CHECKED_FROM = 100, 256 * 2**20  # unpacked to packed, asked of archives that unpack to more than this
_DEBRIS = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Entry:
    """One file, by its place in the archive."""

    path: PurePosixPath
    size: int
    when: datetime  # of its last change, on this machine's clock
    read: Callable[[], bytes]


@contextmanager
def open_archive(path: Path) -> Iterator[list[Entry]]:
    """The files of a ZIP or of a folder, without the debris that systems leave in them.

    Raises:
        CourseError: it cannot be read, would fill the disk, or holds a name that leads out of it.
    """
    try:
        if path.is_dir():
            yield _bounded(path, list(_from_folder(path)))
            return
        with zipfile.ZipFile(path) as archive:
            entries = _bounded(path, list(_from_zip(path, archive)))
            total, packed = sum(entry.size for entry in entries), path.stat().st_size
            if total > CHECKED_FROM and total > MAX_RATIO * packed:
                raise CourseError(f"{path} unpacks to {total // packed} times its size, as no submissions do: refused")
            yield entries
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise CourseError(
            f"{path} is no ZIP that can be read ({error}): download it again, or unpack it and pass the folder"
        ) from None
    except RuntimeError as error:
        raise CourseError(f"{path} cannot be read: {error}") from None  # it has a password
    except OSError as error:
        if error.filename and not Path(error.filename).is_relative_to(path):  # of whoever works with the entries
            raise
        raise CourseError(f"{path} cannot be read: {error.strerror or error}") from None


def files_within(entry: Entry) -> list[Entry]:
    """The files of a ZIP that is in an archive or a folder; none where it cannot be read, or would fill the disk."""
    path = Path(entry.path)
    try:
        archive = zipfile.ZipFile(io.BytesIO(entry.read()))
        found = _bounded(path, list(_from_zip(path, archive)))
        if sum(inner.size for inner in found) > CHECKED_FROM:
            return []
        for inner in found:
            inner.read()  # it may have a password, or be damaged
    except (CourseError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError):
        return []
    return found


def _bounded(path: Path, entries: list[Entry]) -> list[Entry]:
    if len(entries) > MAX_FILES:
        raise CourseError(f"{path} holds {len(entries):,} files; at most {MAX_FILES:,} are read")
    if (total := sum(entry.size for entry in entries)) > MAX_BYTES:
        raise CourseError(f"{path} unpacks to {total >> 30} GiB; at most {MAX_BYTES >> 30} are read")
    for entry in entries:
        if entry.size > MAX_FILE:
            raise CourseError(
                f"{path}: {entry.path} unpacks to {entry.size >> 20} MiB; at most {MAX_FILE >> 20} are read"
            )
    return entries


def _from_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        name = _name(info)
        place = PurePosixPath(name)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if place.is_absolute() or ".." in place.parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
            raise CourseError(f"{path} is refused: {name!r} in it leads out of it")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise CourseError(f"{path} is refused: {name!r} in it is a link or a device")
        if info.is_dir() or name.endswith("/") or not place.parts or _is_debris(place):
            continue
        try:
            when = datetime(*info.date_time)
        except ValueError:
            when = datetime(1980, 1, 1)
        yield Entry(place, info.file_size, when, lambda info=info: archive.read(info))  # type: ignore[misc]


def _name(info: zipfile.ZipInfo) -> str:
    """The name with composed accents; some programs write UTF-8 without saying so, and Windows its own separators."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return composed(name.replace("\\", "/"))


def _from_folder(folder: Path) -> Iterator[Entry]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            facts = path.lstat()
            place = PurePosixPath(path.relative_to(folder).as_posix())
            if stat.S_ISREG(facts.st_mode) and not _is_debris(place):
                when = datetime.fromtimestamp(facts.st_mtime)
                yield Entry(place, facts.st_size, when, path.read_bytes)


def _is_debris(place: PurePosixPath) -> bool:
    return place.name.startswith(".") or place.name in _DEBRIS or not all(map(is_student, place.parts[:-1]))
