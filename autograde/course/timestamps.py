"""When something was handed in, as `timestamp.txt` says it: nbgrader writes that file, and so do people."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import dateutil.parser  # type: ignore[import-untyped]
import dateutil.tz  # type: ignore[import-untyped]

EXPECTED = "expected one such as 2030-01-31 12:00:00 UTC, or +01:00 in place of UTC"
_ZONE = re.compile(r"(?P<time>.*\d.*?)\s*(?P<zone>[+-]\d\d:?\d\d|(?<=\s)(?![AaPp][Mm]$)[A-Za-z][\w/+-]*)")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?")  # 01.02.2030 is a day of January or of February


def read_time(text: str) -> datetime:
    """A time in UTC; without a zone it is meant so, as in nbgrader.

    nbgrader's own reading takes "+0100" for a hundred seconds, and a zone it does not know, such as "CEST", for UTC.

    >>> read_time("2030-07-01 12:00:00 +0200"), read_time("2030-07-01 12:00 Europe/Berlin")
    (datetime.datetime(2030, 7, 1, 10, 0), datetime.datetime(2030, 7, 1, 10, 0))

    Raises:
        ValueError: it is none, or nobody knows in which zone; the text says so.
    """
    text = text.strip("\ufeff \t\r\n")
    if not _DATE.match(text):
        raise ValueError(f"no date that can be read: {EXPECTED}")
    found = _ZONE.fullmatch(text)
    try:
        when = dateutil.parser.parse(found["time"] if found and len(text) > len("2030-01-31") else text)
    except (ValueError, OverflowError):
        raise ValueError(f"no date that can be read: {EXPECTED}") from None
    zone = _zone(found["zone"], when) if found and len(text) > len("2030-01-31") else None
    if zone is not None:
        when = when.replace(tzinfo=zone)
    return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when


def _zone(name: str, when: datetime) -> tzinfo:
    """The zone that an offset, a name or this machine's own abbreviation means."""
    if found := re.fullmatch(r"([+-])(\d\d):?(\d\d)", name):
        span = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(span if found[1] == "+" else -span)
    if name in time.tzname:
        return timezone(timedelta(seconds=-(time.altzone if time.tzname.index(name) else time.timezone)))
    known = UTC if name.upper() in ("UTC", "GMT", "Z") else dateutil.tz.gettz(name)
    if known is None:
        raise ValueError(f"a time zone that is not known here, {name[:20]!r}: {EXPECTED}")
    return known
