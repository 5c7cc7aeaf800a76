"""Whatever was handed in, as a notebook that can be graded: the release with the learner's cells in it.

Locked and graded cells always come from the release. An answer is found by its grade id, else by its cell id, else by
the variable or function that it defines. The learner's own cells stay, each behind the cell it stood behind.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nbformat
from nbformat import NotebookNode

MAX_BYTES = 20 * 2**20  # of a submitted notebook
MAX_CELLS = 2_000

Fits = Callable[[dict[str, Any]], bool]  # whether a submitted cell is the one that is looked for


@dataclass
class Repaired:
    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)  # what was put right, for the learner and the teacher


def repair(submitted: bytes, template: NotebookNode) -> Repaired:
    """The notebook to grade, and what had to be put right. Never fails, whatever the bytes."""
    notes: list[str] = []
    cells = _read_cells(submitted, notes)
    anchors = _match(cells, template, notes)
    result = copy.deepcopy(template)
    result.cells = [_note_cell(notes)] if notes else []
    extras = _extras_by_anchor(cells, anchors)
    result.cells += extras.get("", [])
    for cell in template.cells:
        result.cells.append(_with_answer(cell, anchors.get(cell.id)))
        result.cells += extras.get(cell.id, [])
    for number, cell in enumerate(result.cells):
        if cell.id.startswith("learner-"):
            cell.id = f"learner-{number}"
    result.metadata.autograde = {"notes": notes}
    return Repaired(result, notes)


def _note_cell(notes: list[str]) -> NotebookNode:
    listed = "\n".join(f"- {note}" for note in notes)
    return nbformat.v4.new_markdown_cell(f"**Put right before grading**\n\n{listed}", id="put-right")


def _read_cells(submitted: bytes, notes: list[str]) -> list[dict[str, Any]]:
    if len(submitted) > MAX_BYTES:
        notes.append(f"The file has more than {MAX_BYTES >> 20} MiB. Clear its outputs, save it and hand it in again.")
        return []
    if not submitted.strip():
        notes.append("The file is empty. Save the notebook and hand it in again.")
        return []
    try:
        document = json.loads(submitted.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        notes.append(f"The file is not a notebook ({type(error).__name__}). Hand in the .ipynb file itself.")
        return []
    cells = document.get("cells") if isinstance(document, dict) else None
    if cells is None and isinstance(document, dict):
        cells = _from_old_format(document)
    if not isinstance(cells, list):
        notes.append("The file holds no cells. Hand in the notebook that you worked in.")
        return []
    if len(cells) > MAX_CELLS:
        notes.append(f"The notebook has {len(cells):,} cells; the first {MAX_CELLS:,} were read.")
    read = [_plain_cell(cell) for cell in cells[:MAX_CELLS]]
    broken = read.count(None)
    if broken:
        notes.append(f"{broken} of its {len(read)} cells could not be read and were left out.")
    return [cell for cell in read if cell is not None]


def _from_old_format(document: dict[str, Any]) -> Any:
    """The cells of a notebook of format 3, which kept them in worksheets."""
    try:
        return nbformat.convert(nbformat.from_dict(document), 4).cells
    except Exception:  # nbformat raises what it likes on data that is no notebook
        return None


def _plain_cell(cell: Any) -> dict[str, Any] | None:
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
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return {
        "type": cell["cell_type"],
        "source": sendable(source),
        "grade_id": grade_id if isinstance(grade_id, str) else None,
        "id": cell.get("id") if isinstance(cell.get("id"), str) else None,
        "tags": [sendable(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
    }


def sendable(text: str) -> str:
    """`text` without lone surrogates, which neither a kernel nor a file takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _match(cells: list[dict[str, Any]], template: NotebookNode, notes: list[str]) -> dict[str, dict[str, Any]]:
    """The submitted cell for each cell of the template, by the template's cell id."""
    found: dict[str, dict[str, Any]] = {}
    left = list(cells)
    for how in (_by_grade_id, _by_cell_id, _by_definition):
        for original in template.cells:
            if original.id in found:
                continue
            kind, fits = original.cell_type, how(original)
            candidates = [cell for cell in left if cell["type"] == kind and fits(cell)]
            if not candidates:
                continue
            changed = [cell for cell in candidates if cell["source"] != original.source]
            found[original.id] = (changed or candidates)[-1]
            taken = set(map(id, candidates))
            left = [cell for cell in left if id(cell) not in taken]
            if _is_answer(original) or _is_ours(original):
                _remark(original, candidates, how is _by_definition, notes)
    lost = [cell.id for cell in template.cells if _is_answer(cell) and cell.id not in found]
    if cells and lost:
        notes.append(f"No answer cell was found for {', '.join(name.removesuffix('-answer') for name in lost)}.")
    return found


def _remark(original: NotebookNode, candidates: list[dict[str, Any]], guessed: bool, notes: list[str]) -> None:
    name = original.id.removesuffix("-answer")
    if guessed and _is_answer(original):
        notes.append(f"The answer cell of {name} had lost its metadata; it was found by what it defines.")
    if len(candidates) > 1:
        kept = "the last changed one was taken" if _is_answer(original) else "the released cell was used instead"
        notes.append(f"The cell {original.id} was there {len(candidates)} times; {kept}.")


def _by_grade_id(original: NotebookNode) -> Fits:
    grade_id = original.metadata.get("nbgrader", {}).get("grade_id")
    return lambda cell: grade_id is not None and cell["grade_id"] == grade_id


def _by_cell_id(original: NotebookNode) -> Fits:
    cell_id = original.id
    return lambda cell: bool(cell["id"] == cell_id)


def _by_definition(original: NotebookNode) -> Fits:
    source = original.source
    if not _is_answer(original):
        return lambda cell: bool(cell["source"].strip() == source.strip())
    defined = re.search(r"^(?:def (\w+)\(|(\w+) *=)", source, re.MULTILINE)
    if defined is None:
        return lambda cell: False
    name = re.escape(defined[1] or defined[2])
    definition = re.compile(rf"^(?:def {name} *\(|{name} *=[^=])", re.MULTILINE)
    return lambda cell: definition.search(cell["source"]) is not None


def _is_answer(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def _is_ours(cell: NotebookNode) -> bool:
    """Cells that a learner may not change: graded ones and locked ones."""
    grading = cell.metadata.get("nbgrader", {})
    return bool(grading.get("grade") or grading.get("locked"))


def _with_answer(original: NotebookNode, submitted: dict[str, Any] | None) -> NotebookNode:
    cell = copy.deepcopy(original)
    if submitted is not None and not _is_ours(cell) and submitted["source"] != cell.source:
        cell.source = submitted["source"] if cell.cell_type == "code" else _as_text(submitted["source"])
    return cell


def _as_text(source: str) -> str:
    """Markdown that shows `source` as it was typed: its HTML could act on whoever looks at the feedback page."""
    longest = max(map(len, re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{source}\n{fence}"


def _extras_by_anchor(cells: list[dict[str, Any]], anchors: dict[str, dict[str, Any]]) -> dict[str, list[NotebookNode]]:
    """The learner's own cells, by the id of the template's cell that they followed ("" at the top)."""
    ids = {id(cell): name for name, cell in anchors.items()}
    extras: dict[str, list[NotebookNode]] = {}
    anchor = ""
    for cell in cells:
        if id(cell) in ids:
            anchor = ids[id(cell)]
        elif cell["source"].strip() and cell["grade_id"] is None:
            if cell["type"] == "code":
                extra = nbformat.v4.new_code_cell(cell["source"], id="learner-0")
            else:
                extra = nbformat.v4.new_markdown_cell(_as_text(cell["source"]), id="learner-0")
            extra.metadata.tags = cell["tags"]
            extras.setdefault(anchor, []).append(extra)
    return extras
