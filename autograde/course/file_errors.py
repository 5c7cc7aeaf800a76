"""What the machine refuses: which file or folder, why, and what to do about it, in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import shlex
import shutil
import tempfile
from itertools import takewhile
from pathlib import Path

from autograde.course.settings import CONFIG_FILE

_LITTLE = 2**20  # bytes that are free on a full disk, at most


def refused(error: OSError, path: Path | None = None) -> str:
    """What went wrong with a file, in words.

    path: which file, where the error does not say it, or names another that only stands for it.
    """
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of a whole folder: its first file's
        _, target, text = error.args[0][0]
        number = int((re.search(r"\[Errno (\d+)\]", text) or [0, 0])[1])
        error = OSError(number, os.strerror(number) if number else text, str(_existing(Path(target))))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    name, reason = path or error.filename or (full and full_disk()), error.strerror or str(error)
    place, todo = Path(os.fsdecode(name or "a file")), ""
    if error.errno in (errno.EACCES, errno.EPERM):
        place = _in_the_way(place)
        todo = f": {_permit(place)}"
    elif error.errno == errno.EROFS:
        again = f"sudo mount -o remount,rw {shlex.quote(str(_mounted(place)))}"
        todo = f": run `{again}`, or copy the course to where you may write"
    elif full:
        asked = f"df -h {shlex.quote(str(_existing(place)))}" if error.errno == errno.ENOSPC and name else "quota -s"
        todo = f": make room there, as `{asked}` says how much, then run this again"
    return f"{place} cannot be used: {reason}{todo}".encode("utf-8", "replace").decode()


def require_writable(*paths: Path) -> None:
    """Make sure that files or folders may be written to, or made where they are not there yet.

    Raises:
        OSError: one may not.
    """
    for path in paths:
        if not _usable(place := _existing(path)):
            number = why_not(place)
            raise OSError(number, os.strerror(number), str(place))


def why_not(path: Path) -> int:
    """The system's number for what keeps a file from being written: its disk is read-only or full, or its mode."""
    place = _existing(path)
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return errno.EROFS
    return errno.ENOSPC if _usable(place) and full_disk(place) else errno.EACCES


def full_disk(*places: Path) -> Path | None:
    """The place whose disk has no room left; by default of those that commands write to."""
    if not places:
        here = Path.cwd()
        course = next((outer for outer in (here, *here.parents) if (outer / CONFIG_FILE).is_file()), here)
        places = (course, *sorted(course.glob("*/")), *sorted(course.glob("*/*/")), Path(tempfile.gettempdir()))
    return next((place for place in places if shutil.disk_usage(place).free < _LITTLE), None)


def _mounted(path: Path) -> Path:
    """Where the disk that a file lies on is mounted; the system's list has what is mounted twice, too."""
    place, mounts = Path(os.path.realpath(_existing(path))), set[str]()
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mounts = {re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines}
    return next(outer for outer in (place, *place.parents) if str(outer) in mounts or os.path.ismount(outer))


def _existing(path: Path) -> Path:
    """The path, or else the nearest folder above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if os.path.exists(place))


def readable(folder: Path) -> bool:
    """Whether the files in a folder may be listed and opened, as far as the folder says."""
    return _may(folder, os.R_OK | os.X_OK)


def _usable(place: Path) -> bool:
    return _may(place, os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(place) else 0))


def _may(place: Path, wanted: int) -> bool:
    return os.access(place, wanted, effective_ids=os.access in os.supports_effective_ids)


def _in_the_way(path: Path) -> Path:
    """What keeps a file or folder from being used: itself or a folder that it is in, in a course the outermost."""
    place = _existing(path)
    places = [place, *place.absolute().parents]
    course = next((number for number, outer in enumerate(places) if os.path.isfile(outer / CONFIG_FILE)), 1)
    closed = list(takewhile(lambda one: not _usable(one), places[_usable(place) : course + 1]))
    return closed[-1] if closed else place


def _permit(place: Path) -> str:
    """How whoever runs this may use a file or folder again."""
    owner, me, quoted = place.stat().st_uid, os.geteuid(), shlex.quote(str(place))
    if owner != me:
        return f"it belongs to {_user(owner)}; run `sudo chown -R {_user(me)} {quoted}`"
    return f"run `chmod -R u+rwX {quoted}`"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # no such user here: a container's
        return str(number)
