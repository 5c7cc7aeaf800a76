"""Whatever was handed in, as a notebook that can be graded: the learner's, with what is ours restored.

What "Run All" in the learner's notebook defines is what is graded. So the order is the learner's, and every cell of
theirs stays where it stands: both halves of a cell that was split, copies, scratch paper. Graded and locked cells are
the release's again; where the learner had changed one, their text runs in a cell of its own before it, and where one
was deleted, it comes back behind the cell that it follows in the release. An answer cell that is no longer there
comes back to be shown: it is not run, just as it does not run for the learner.

Figures (cells tagged `illustration`) are left out while they are untouched and no cell behind them needs their names.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbformat import NotebookNode

from autograde.answers import ILLUSTRATION
from autograde.engine.cells import grade_id, is_locked, is_solution
from autograde.engine.matching import Placed, asked, match, same
from autograde.engine.names import names_of, typed_into_check
from autograde.engine.reading import Unreadable, read_cells

OURS = ("repaired", "no-sandbox")  # cells that the grader puts in front
ABOUT = "autograde"  # a cell's metadata: {"own": true} for a learner's code, {"skip": why} for what is not run,
# and {"instead": expression} for a check that the learner typed the answer into


@dataclass
class Repaired:
    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)  # what was repaired, for the learner and the teacher
    unreadable: str = ""  # why nothing of what was handed in could be read


def repair(submitted: bytes, template: NotebookNode, notes: Sequence[str] = ()) -> Repaired:
    """The notebook to grade, and what had to be repaired. Never fails, whatever the bytes.

    `template` is the release; `notes` come before those that are made here.
    """
    notes, unreadable = list(notes), ""
    result = NotebookNode({**template, "metadata": copy.deepcopy(template.metadata)})
    try:
        placed = [Placed(number, cell) for number, cell in enumerate(read_cells(submitted, notes))]
        match(placed, template, notes)
        _refuse_another_notebook(placed, template)
    except Unreadable as error:
        unreadable = str(error)
        notes.append(f"Unreadable: {error}.")
        result.cells = [_copied(cell) for cell in template.cells]
    else:
        result.cells = _merged(placed, template, notes)
        _leave_out_figures(result.cells)
    result.metadata.autograde = NotebookNode(notes=[])
    add_notes(result, notes)
    return Repaired(result, notes, unreadable)


def _refuse_another_notebook(placed: list[Placed], template: NotebookNode) -> None:
    """Raises Unreadable where no cell is one of the release's, or those that are graded are another one's."""
    ids = set(map(grade_id, template.cells))
    graded = {one.cell.grade_id for one in placed} - {""}
    answers = frozenset().union(*map(asked, template.cells))
    written = (names_of(one.cell.source).defined for one in placed if one.cell.type == "code")
    known = any(one.original is not None for one in placed) or any(map(answers.intersection, written))
    if not known or (graded and not graded & ids):
        raise Unreadable("it is another notebook: hand in the one that belongs here")


def add_notes(notebook: NotebookNode, notes: list[str]) -> None:
    """Say in a notebook what was repaired, for programs and, in its first cell, for people."""
    if not notes:
        return
    about = notebook.metadata.setdefault("autograde", NotebookNode())
    about.setdefault("notes", []).extend(notes)
    if not any(cell.id == OURS[0] for cell in notebook.cells[:2]):
        notebook.cells.insert(0, _text_cell("**Repaired before grading**\n", OURS[0]))
    shown = next(cell for cell in notebook.cells if cell.id == OURS[0])
    shown.source += "".join(f"\n- {note}" for note in notes)


def _merged(placed: list[Placed], template: NotebookNode, notes: list[str]) -> list[NotebookNode]:
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
        if one.cell.type == "code" and not (one.original is not None and same(one.cell, one.original)):
            written |= names_of(one.cell.source).defined
    place = 0
    for original in template.cells:
        if id(original) in groups:
            place = order.index(id(original)) + 1
        elif is_locked(original) or (is_solution(original) and not asked(original) & written):
            while place < len(order) and not isinstance(order[place], int):
                place += 1  # behind what the learner had put there
            groups[id(original)] = [_came_back(original, said)]
            order.insert(place, id(original))
            place += 1
    notes += _summary(said)
    return [cell for entry in order for cell in (groups[entry] if isinstance(entry, int) else [entry])]


def _restored(one: Placed, said: Counter[str]) -> list[NotebookNode]:
    """What replaces a submitted cell that is one of the release's."""
    original, cell = one.original, one.cell
    assert original is not None
    restored, name, is_code = _copied(original), original.id.removesuffix("-answer"), original.cell_type == "code"
    if same(cell, original):
        return [restored]
    if is_locked(original):
        said[_CHANGED_CHECK if is_code else _CHANGED_TEXT] += 1
        if is_code and (typed := typed_into_check(cell.source, original.id)):
            said[f"The answer to {name} stands in its check; it was looked for there, too."] += 1
            restored.metadata[ABOUT] = NotebookNode(instead=typed)
        return [_own(one), restored]
    if is_code and cell.type == "code":
        restored.source = cell.source
        restored.metadata[ABOUT] = NotebookNode(own=True)
        return [restored]
    if not is_solution(original) and (is_code or cell.type == "code"):
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
    if is_solution(original):
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


def _own(one: Placed) -> NotebookNode:
    """A cell of the learner's own: code runs, text is shown as it was typed."""
    if one.cell.type != "code":
        return _as_written(one)
    about = NotebookNode({ABOUT: NotebookNode(own=True)})
    cell = NotebookNode(cell_type="code", id=f"learner-{one.number}", source=one.cell.source, metadata=about)
    return NotebookNode(cell, outputs=[], execution_count=None)


def _as_written(one: Placed) -> NotebookNode:
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
    """nbformat's new_markdown_cell without its validation: it takes long, and what is made here is valid."""
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
