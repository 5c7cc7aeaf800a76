"""Whatever was handed in, as cells: read where it can be read, else a reason to ask for it again.

Encodings, old formats and large outputs are no obstacle. A file that broke off is not read in part: what is missing
would look like an exercise that nobody answered.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from typing import Any

MAX_FILE = 256 * 2**20  # bytes of a submitted notebook, with all its outputs
MAX_BYTES = 20 * 2**20  # without them
MAX_CELLS = 2_000
MAX_PICTURES = 8 * 2**20  # characters of pictures attached to text, in all
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_COMMA_TOO_MANY = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)|,(?=\s*[\]}])', re.DOTALL)
_OTHER_FILES = {  # how they begin, once they are read as text
    "PK": "a ZIP archive",
    "\x1f": "a gzip archive",
    "%PDF": "a PDF",
    "<": "a web page",
}


class Unreadable(Exception):
    """What was handed in cannot be read; the text says why, and what to hand in."""


@dataclass(frozen=True)
class Cell:
    """What counts of a submitted cell."""

    type: str  # code, markdown or raw
    source: str
    id: str = ""
    grade_id: str = ""
    pictures: tuple[tuple[str, str], ...] = ()  # attached ones: kind and base64


def read_cells(submitted: bytes, notes: list[str]) -> list[Cell]:
    """The cells of a submitted file; what was dropped or guessed is added to the notes.

    Raises:
        Unreadable: it is not a notebook, or not a whole one.
    """
    document = _document(_text(submitted, notes), notes)
    cells = document.get("cells") if isinstance(document, dict) else None
    if cells is None and isinstance(document, dict):
        cells = _of_old_format(document)
    if not isinstance(cells, list) or not cells:
        raise Unreadable("the file holds no cells: hand in the notebook that you worked in")
    if len(cells) > MAX_CELLS:
        notes.append(f"The notebook has {len(cells):,} cells; the first {MAX_CELLS:,} were read.")
    read = [_cell(cell) for cell in cells[:MAX_CELLS]]
    if broken := read.count(None):
        notes.append(f"{broken} of its {len(read)} cells could not be read and were left out.")
    kept = [cell for cell in read if cell is not None]
    if read and not kept:
        raise Unreadable(f"none of its {len(read)} cells can be read: hand in the notebook that you worked in")
    return _with_room(kept, notes)


def whole(submitted: bytes) -> Any:
    """What a notebook's file holds, outputs and all.

    Raises:
        Unreadable: it is not a notebook, or not a whole one.
    """
    return _document(_decoded(submitted, []), [])


def slim(submitted: bytes) -> bytes:
    """The same notebook without its outputs where they make it large: grading has no use for them."""
    if len(submitted) <= MAX_BYTES:
        return submitted
    return _without_outputs(_decoded(submitted, [])).encode("utf-8", "surrogatepass")


def sendable(text: str) -> str:
    """`text` without lone surrogates, which neither a kernel nor a file takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(submitted: bytes, notes: list[str]) -> str:
    if len(submitted) > MAX_FILE:
        raise Unreadable(f"the file has more than {MAX_FILE >> 20} MiB: clear its outputs, save it, hand it in again")
    text = _decoded(submitted, notes)
    if len(text) > MAX_BYTES:
        text = _without_outputs(text)
    if len(text) > MAX_BYTES:
        raise Unreadable(f"the file has more than {MAX_BYTES >> 20} MiB, even without its outputs")
    if not text:
        raise Unreadable("the file is empty: save the notebook and hand it in again")
    return text


def _decoded(submitted: bytes, notes: list[str]) -> str:
    encoding = json.detect_encoding(submitted)
    text = submitted.decode(encoding, "surrogateescape" if encoding.startswith("utf-8") else "replace")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.translate(_WINDOWS_1252)
        notes.append("The file is not saved as UTF-8: letters beyond ASCII were guessed, as Windows-1252 has them.")
    return text.strip("\0\ufeff \t\r\n")


# What Python makes of bytes that are no UTF-8, to what most other editors mean by them
_WINDOWS_1252 = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(128, 256)}


def _document(text: str, notes: list[str]) -> Any:
    try:
        return json.loads(text, strict=False)  # with line breaks in texts, too
    except RecursionError:
        raise Unreadable("the file is not a notebook: it is nested too deeply") from None
    except ValueError as error:
        first = error
    tidy = _COMMA_TOO_MANY.sub(lambda found: found[1] or "", text)
    try:
        document, end = json.JSONDecoder(strict=False).raw_decode(tidy)
    except (ValueError, RecursionError):
        raise _why(text, first) from None
    if rest := tidy[end:].strip():
        notes.append(f"Behind the notebook's end the file has {len(rest):,} more characters, which were left out.")
    if len(tidy) < len(text):
        notes.append("The file has extra commas, as a text editor can leave them; they were left out.")
    return document


def _why(text: str, error: ValueError) -> Unreadable:
    for beginning, kind in _OTHER_FILES.items():
        if text.startswith(beginning):
            return Unreadable(f"the file is not a notebook but {kind}: hand in the .ipynb file itself")
    if "<<<<<<<" in text and ">>>>>>>" in text:
        return Unreadable("the file has the marks of a git conflict: resolve it, open the notebook, hand it in again")
    if text.startswith("{") and isinstance(error, json.JSONDecodeError) and _is_at_end(error):
        return Unreadable("the file broke off before its end: save the notebook and hand it in again")
    place = f" ({error.msg}, line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
    return Unreadable(f"the file is not a notebook{place}: hand in the .ipynb file itself")


def _is_at_end(error: json.JSONDecodeError) -> bool:
    return error.msg.startswith("Unterminated string") or not error.doc[error.pos :].strip()


def _without_outputs(text: str) -> str:
    """JSON with every list under "outputs", and every object under "widgets", left out; parsed no further."""
    kept: list[str] = []
    begin, depth, name_ends = 0, 0, -1  # where what is kept begins; levels inside what is left out
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if depth:
            depth += (sign in "[{") - (sign in "]}") if len(sign) == 1 else 0
            begin = token.end() - 1 if not depth else begin
        elif sign in ('"outputs"', '"widgets"'):
            name_ends = token.end()
        elif sign in "[{" and name_ends >= 0 and not text[name_ends : token.start()].strip(" \t\r\n:"):
            kept.append(text[begin : token.end()])
            depth = 1
        else:
            name_ends = -1
    return "".join(kept) + (text[begin:] if not depth else "")


def _of_old_format(document: dict[str, Any]) -> list[Any]:
    """The cells of a notebook of format 2 or 3, which kept them in worksheets, and called what is typed in `input`."""
    sheets = document.get("worksheets")
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
    cells = [cell for listed in lists if isinstance(listed, list) for cell in listed if isinstance(cell, dict)]
    kinds = {"heading": "markdown", "html": "markdown", "plaintext": "raw"}
    return [
        {**cell, "source": cell.get("input", cell.get("source")), "cell_type": kinds.get(str(kind), kind)}
        for cell in cells
        for kind in (cell.get("cell_type"),)
    ]


def _cell(cell: Any) -> Cell | None:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    metadata = cell.get("metadata")
    grading = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = grading.get("grade_id") if isinstance(grading, dict) else None
    return Cell(
        cell["cell_type"],
        sendable(source.replace("\r\n", "\n")),
        id=cell["id"] if isinstance(cell.get("id"), str) else "",
        grade_id=grade_id if isinstance(grade_id, str) else "",
        pictures=_pictures(cell.get("attachments")),
    )


def _pictures(attached: Any) -> tuple[tuple[str, str], ...]:
    """Attached PNG and JPEG files; of others only the kind, since they could act on whoever looks at the feedback."""
    found = []
    for kinds in attached.values() if isinstance(attached, dict) else ():
        for kind, data in kinds.items() if isinstance(kinds, dict) else ():
            try:
                raw = base64.b64decode(data) if kind in ("image/png", "image/jpeg") else b""
            except (binascii.Error, ValueError, TypeError):
                raw = b""
            found.append((sendable(kind)[:40], base64.b64encode(raw).decode("ascii")))
    return tuple(found)


def _with_room(cells: list[Cell], notes: list[str]) -> list[Cell]:
    """The cells with those of their pictures that a graded notebook has room for."""
    room, left_out, kept = MAX_PICTURES, 0, []
    for cell in cells:
        shown = []
        for kind, data in cell.pictures:
            room -= len(data)
            if data and room >= 0:
                shown.append((kind, data))
        left_out += len(cell.pictures) - len(shown)
        kept.append(replace(cell, pictures=tuple(shown)))
    if left_out:
        notes.append(
            f"{left_out} attached files are not shown: PNG and JPEG are, up to {MAX_PICTURES >> 20} MiB in all."
        )
    return kept
