"""Tables for spreadsheets and learning platforms: names stay as they are, and nothing in them runs.

A spreadsheet takes a cell that begins with = + - or @ for a formula. An import needs names unaltered, `=ada` and
`+o'neill` among them. To do harm, a formula has to call a function or a program, or to read another file, and
for that it needs ( | or !. So only a cell that begins like a formula and holds one of these gets an apostrophe in
front. The others are at worst arithmetic on the table itself, and not even that when they are imported as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(cell: object) -> object:
    """The cell, with an apostrophe in front where a spreadsheet would run it.

    >>> [harmless(cell) for cell in ("=ada", "-o'neill, [j] @+", "=cmd|' /C calc'!A0", "+SUM(1)", -2.5)]
    ['=ada', "-o'neill, [j] @+", "'=cmd|' /C calc'!A0", "'+SUM(1)", -2.5]
    """
    if isinstance(cell, str) and cell.startswith(_BEGINS) and any(sign in cell for sign in "(|!"):
        return f"'{cell}"
    return cell


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """The rows as RFC 4180 has them: commas, quotes where they are needed, CRLF."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def read_csv(content: bytes) -> list[list[str]]:
    """The rows of a file that a spreadsheet or a learning platform wrote: its encoding and its separator are found out.

    >>> read_csv("id;Größe\\r\\nada;'=1!'".encode("cp1252"))
    [['id', 'Größe'], ['ada', "'=1!'"]]

    Raises:
        ValueError: it is not a table.
    """
    text = _decoded(content)
    if "\0" in text:
        raise ValueError("no text")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
