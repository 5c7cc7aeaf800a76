"""Whatever was handed in, as a notebook that can be graded: the learner's, with what is ours restored.

What "Run All" in the learner's notebook defines is what is graded. So the order is the learner's, and every cell of
theirs stays where it stands: both halves of a cell that was split, copies, scratch paper. Graded and locked cells are
the release's again; where the learner had changed one, their text runs in a cell of its own before it, and where one
was deleted, it comes back behind the cell that it follows in the release. An answer cell that is no longer there
comes back for the eye only: it is not run, as it does not run for the learner.

Figures (cells tagged `illustration`) are left out while they are untouched and no cell behind them needs their names.
"""

from __future__ import annotations

import copy
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nbformat import NotebookNode

from autograde.engine.names import names_of, typed_into_check
from autograde.engine.reading import Cell, Unreadable, read_cells

ILLUSTRATION = "illustration"  # the tag of figures: cells that no graded cell of the release needs
OURS = ("put-right", "no-sandbox")  # cells that the grader puts in front
ABOUT = "autograde"  # a cell's metadata: {"own": true} for a learner's code, {"skip": why} for what is not run,
# and {"instead": expression} for a check that the learner typed the answer into


@dataclass
class Repaired:
    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)  # what was put right, for the learner and the teacher
    unreadable: str = ""  # why nothing of what was handed in could be read


@dataclass(eq=False)
class _Placed:
    """A submitted cell, and the cell of the release that it is, if it is one."""

    number: int
    cell: Cell
    original: NotebookNode | None = None


def repair(submitted: bytes, template: NotebookNode, notes: Sequence[str] = ()) -> Repaired:
    """The notebook to grade, and what had to be put right. Never fails, whatever the bytes.

    `template` is the release; `notes` come before those that are made here.
    """
    notes, unreadable = list(notes), ""
    result = NotebookNode({**template, "metadata": copy.deepcopy(template.metadata)})
    try:
        placed = [_Placed(number, cell) for number, cell in enumerate(read_cells(submitted, notes))]
    except Unreadable as error:
        unreadable = str(error)
        notes.append(f"Unreadable: {error}.")
        result.cells = [_copied(cell) for cell in template.cells]
    else:
        _match(placed, template, notes)
        result.cells = _merged(placed, template, notes)
        _leave_out_figures(result.cells)
    result.metadata.autograde = NotebookNode(notes=[])
    add_notes(result, notes)
    return Repaired(result, notes, unreadable)


def add_notes(notebook: NotebookNode, notes: list[str]) -> None:
    """Say in a notebook what was put right, for programs and, in its first cell, for people."""
    if not notes:
        return
    about = notebook.metadata.setdefault("autograde", NotebookNode())
    about.setdefault("notes", []).extend(notes)
    if not any(cell.id == OURS[0] for cell in notebook.cells[:2]):
        notebook.cells.insert(0, _text_cell("**Put right before grading**\n", OURS[0]))
    shown = next(cell for cell in notebook.cells if cell.id == OURS[0])
    shown.source += "".join(f"\n- {note}" for note in notes)


def _match(placed: list[_Placed], template: NotebookNode, notes: list[str]) -> None:
    """Find the release's cells among the submitted ones, in one way after the other."""
    missing, found = list(template.cells), list[str]()
    for labels, wanted in (_BY_GRADE_ID, _BY_CELL_ID, _BY_TEXT, _BY_DEFINITION):
        by_label: defaultdict[Any, list[_Placed]] = defaultdict(list)
        for one in placed:
            for label in labels(one.cell) if one.original is None else ():
                by_label[label].append(one)
        left = []
        for original in missing:
            fitting = {one.number: one for label in wanted(original) for one in by_label.get(label, ())}
            candidates = [fitting[number] for number in sorted(fitting) if fitting[number].original is None]
            if not candidates:
                left.append(original)
                continue
            _best(original, candidates).original = original
            if labels is _BY_DEFINITION[0]:
                found.append(original.id.removesuffix("-answer"))
            elif labels is _BY_GRADE_ID[0] and len(candidates) > 1:
                notes.append(f"The cell {original.id} was there {len(candidates)} times; each ran where it stands.")
        missing = left
    if found:
        notes.append(f"The answers to {', '.join(found)} had lost their metadata; found by what they define.")


def _best(original: NotebookNode, candidates: list[_Placed]) -> _Placed:
    """Of several, an answer is the last changed one that defines its name; any other is one that was not changed."""
    wanted = _asked(original)

    def rank(one: _Placed) -> tuple[bool, ...]:
        of_its_kind, same = one.cell.type == original.cell_type, _same(one.cell, original)
        if _is_answer(original):
            return of_its_kind and not same, bool(wanted & names_of(one.cell.source).defined), of_its_kind
        return same, of_its_kind, one.cell.id == original.id

    last_first = _is_answer(original) or _is_ours(original)
    return max(reversed(candidates) if last_first else candidates, key=rank)


def _merged(placed: list[_Placed], template: NotebookNode, notes: list[str]) -> list[NotebookNode]:
    """The learner's cells in their order, and those of ours that are missing, each behind the one it follows."""
    said: Counter[str] = Counter()
    groups: dict[int, list[NotebookNode]] = {}  # what stands for a cell of the release, by its identity
    order: list[int | NotebookNode] = []  # such an identity, or a cell of the learner's own
    written: set[str] = set()  # names that the learner's code defines
    for one in placed:
        if one.original is not None:
            order.append(id(one.original))
            groups[id(one.original)] = _restored(one, said)
        elif one.cell.source.strip() or one.cell.pictures:
            order.append(_own(one))
        if one.cell.type == "code" and not (one.original is not None and _same(one.cell, one.original)):
            written |= names_of(one.cell.source).defined
    place = 0
    for original in template.cells:
        if id(original) in groups:
            place = order.index(id(original)) + 1
        elif _is_ours(original) or (_is_answer(original) and not _asked(original) & written):
            while place < len(order) and not isinstance(order[place], int):
                place += 1  # behind what the learner had put there
            groups[id(original)] = [_came_back(original, said)]
            order.insert(place, id(original))
            place += 1
    notes += _summary(said)
    return [cell for entry in order for cell in (groups[entry] if isinstance(entry, int) else [entry])]


def _restored(one: _Placed, said: Counter[str]) -> list[NotebookNode]:
    """What stands in the place of a submitted cell that is one of the release's."""
    original, cell = one.original, one.cell
    assert original is not None
    restored, name, is_code = _copied(original), original.id.removesuffix("-answer"), original.cell_type == "code"
    if _same(cell, original):
        return [restored]
    if _is_ours(original):
        said[_CHANGED_CHECK if is_code else _CHANGED_TEXT] += 1
        if is_code and (typed := typed_into_check(cell.source, original.id)):
            said[f"The answer to {name} stands in its check; it was looked for there, too."] += 1
            restored.metadata[ABOUT] = NotebookNode(instead=typed)
        return [_own(one), restored]
    if is_code and cell.type == "code":
        restored.source = cell.source
        restored.metadata[ABOUT] = NotebookNode(own=True)
        return [restored]
    if not _is_answer(original) and (is_code or cell.type == "code"):
        return [_own(one)]
    if is_code:
        kind = "Markdown" if cell.type == "markdown" else "raw text"
        said[f"The answer cell of {name} is {kind}, which is not run: make it a code cell."] += 1
        restored.metadata[ABOUT] = NotebookNode(skip=f"its cell is {kind}, which is not run: make it a code cell")
        return [_own(one), restored]
    if cell.type == "code":
        said[f"The text of {name} is in a code cell: it was read, and not run."] += 1
    shown = _as_written(one)
    restored.source = shown.source
    if "attachments" in shown:
        restored.attachments = shown.attachments
    return [restored]


def _came_back(original: NotebookNode, said: Counter[str]) -> NotebookNode:
    cell = _copied(original)
    if _is_answer(original):
        said[_MISSING + original.id.removesuffix("-answer")] += 1
        cell.metadata[ABOUT] = NotebookNode(skip="its cell is not there any more")
    return cell


_CHANGED_CHECK, _CHANGED_TEXT, _MISSING = "changed check", "changed text", "missing "


def _summary(said: Counter[str]) -> list[str]:
    notes = [text for text in said if not text.startswith((_CHANGED_CHECK, _CHANGED_TEXT, _MISSING))]
    if missing := [text.removeprefix(_MISSING) for text in said if text.startswith(_MISSING)]:
        notes.append(f"No answer cell was found for {', '.join(missing)}.")
    if count := said[_CHANGED_CHECK]:
        cells = "1 locked code cell was" if count == 1 else f"{count} locked code cells were"
        notes.append(f"{cells} changed: the learner's ran in front of the released one, which counts.")
    if count := said[_CHANGED_TEXT]:
        cells = "1 locked text was" if count == 1 else f"{count} locked texts were"
        notes.append(f"{cells} changed: the learner's is kept in front of the released one.")
    return notes


def _copied(cell: NotebookNode) -> NotebookNode:
    """A cell of the release that may get outputs and metadata of its own; faster than a deep copy."""
    copied = NotebookNode(cell, metadata=NotebookNode(cell.metadata))
    if cell.cell_type == "code":
        copied.outputs, copied.execution_count = [], None
    return copied


def _own(one: _Placed) -> NotebookNode:
    """A cell of the learner's own: code runs, text is shown as it was typed."""
    if one.cell.type != "code":
        return _as_written(one)
    about = NotebookNode({ABOUT: NotebookNode(own=True)})
    cell = NotebookNode(cell_type="code", id=f"learner-{one.number}", source=one.cell.source, metadata=about)
    return NotebookNode(cell, outputs=[], execution_count=None)


def _as_written(one: _Placed) -> NotebookNode:
    """A text cell that shows what the learner typed, and the pictures attached to it."""
    names = {f"picture-{place}": {kind: data} for place, (kind, data) in enumerate(one.cell.pictures, start=1)}
    text = [_as_text(one.cell.source)] if one.cell.source.strip() else []
    shown = _text_cell(
        "\n\n".join([*text, *(f"![{name}](attachment:{name})" for name in names)]), f"learner-{one.number}"
    )
    if names:
        shown.attachments = NotebookNode(names)
    return shown


def _text_cell(source: str, name: str) -> NotebookNode:
    """nbformat's new_markdown_cell, without a validation that finds nothing in what was made here."""
    return NotebookNode(cell_type="markdown", id=name, source=source, metadata=NotebookNode())


def _as_text(source: str) -> str:
    """Markdown that shows `source` as it was typed: its HTML could act on whoever looks at the feedback page."""
    longest = max(map(len, re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{source}\n{fence}"


def _leave_out_figures(cells: list[NotebookNode]) -> None:
    """Mark the untouched figures that no cell of the learner's needs, be it by way of other cells of the release."""
    definers: dict[str, set[int]] = {}  # by name, the cells that may have defined it last
    needs: dict[int, set[int]] = {}  # by cell, those that it needs
    needed: set[int] = set()
    unmet: set[str] = set()  # that the learner's functions may find when they are called further down
    for place, cell in enumerate(cells):
        about = cell.metadata.get(ABOUT, {})
        if cell.cell_type != "code" or "skip" in about:
            continue
        names = names_of(cell.source)
        needs[place] = set().union(*(definers.get(name, ()) for name in names.needed))
        definers |= {
            name: {place} | (set() if name in names.certain else definers.get(name, set())) for name in names.defined
        }
        if "own" in about:
            unmet |= names.needed - definers.keys()
        if "own" in about or names.defined & unmet:
            needed.add(place)
    while more := set().union(*(needs[place] for place in needed)) - needed:
        needed |= more
    for place in needs.keys() - needed:
        if ILLUSTRATION in cells[place].metadata.get("tags", []):
            cells[place].metadata[ABOUT] = NotebookNode(skip="a figure of the release, which nothing needs")


def _same(cell: Cell, original: NotebookNode) -> bool:
    return cell.type == original.cell_type and _plain(cell.source) == _plain(original.source)


@lru_cache(maxsize=4096)
def _plain(source: str) -> str:
    """A source without what editors change on their own: spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def _text(kind: str, source: str) -> Iterable[tuple[str, str]]:
    plain = _plain(source)
    return {(kind, plain)} if plain else ()


def _is_answer(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def _asked(original: NotebookNode) -> frozenset[str]:
    """The names that an answer's cell is there to define; none for other cells."""
    is_code = _is_answer(original) and original.cell_type == "code"
    return names_of(original.source).defined if is_code else frozenset()


def _is_ours(cell: NotebookNode) -> bool:
    """Cells that a learner may not change, by nbgrader's rule: checks and locked ones, but no answer graded by hand."""
    grading = cell.metadata.get("nbgrader", {})
    return not grading.get("solution") and bool(grading.get("grade") or grading.get("locked"))


# Ways to tell which cell of the release a submitted cell is: labels of the one, and labels of the other
_Way = tuple[Callable[[Cell], Iterable[Any]], Callable[[NotebookNode], Iterable[Any]]]
_BY_GRADE_ID: _Way = (
    lambda cell: {cell.grade_id} - {""},
    lambda cell: {cell.metadata.get("nbgrader", {}).get("grade_id")},
)
_BY_CELL_ID: _Way = (lambda cell: {cell.id} - {""}, lambda cell: {cell.id})
_BY_TEXT: _Way = (lambda cell: _text(cell.type, cell.source), lambda cell: _text(cell.cell_type, cell.source))
_BY_DEFINITION: _Way = (lambda cell: names_of(cell.source).defined if cell.type == "code" else (), _asked)
