"""Which cell of the release each submitted cell is: by its ids, its text or, for an answer, by what it defines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nbformat import NotebookNode

from autograde.engine.cells import grade_id, is_locked, is_solution
from autograde.engine.names import names_of
from autograde.engine.reading import Cell

RELEASED = "released"  # in a sealed cell's metadata: its text without hidden tests and mark schemes, as it went out


@dataclass(eq=False)
class Placed:
    """A submitted cell, and the cell of the release that it is, if it is one."""

    number: int
    cell: Cell
    original: NotebookNode | None = None


def match(placed: list[Placed], template: NotebookNode, notes: list[str]) -> None:
    """Find the release's cells among the submitted ones, in one way after the other."""
    missing, found = list(template.cells), list[str]()
    for labels, wanted in (_BY_GRADE_ID, _BY_CELL_ID, _BY_TEXT, _BY_DEFINITION):
        by_label: defaultdict[Any, list[Placed]] = defaultdict(list)
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


def _best(original: NotebookNode, candidates: list[Placed]) -> Placed:
    """Of several, an answer is the last changed one that defines its name; any other is one that was not changed."""
    wanted = asked(original)

    def rank(one: Placed) -> tuple[bool, ...]:
        of_its_kind, unchanged = one.cell.type == original.cell_type, same(one.cell, original)
        if is_solution(original):
            return of_its_kind and not unchanged, bool(wanted & names_of(one.cell.source).defined), of_its_kind
        return unchanged, of_its_kind, one.cell.id == original.id

    last_first = is_solution(original) or is_locked(original)
    return max(reversed(candidates) if last_first else candidates, key=rank)


def same(cell: Cell, original: NotebookNode) -> bool:
    """Whether a submitted cell is as it was released."""
    return cell.type == original.cell_type and _plain(cell.source) in texts(original)


@lru_cache(maxsize=4096)
def _plain(source: str) -> str:
    """A source without what editors change on their own: spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def texts(original: NotebookNode) -> set[str]:
    """A cell of the release as it may be handed in: as it was sealed, and as it went out."""
    return {_plain(original.source), _plain(original.metadata.get(RELEASED, original.source))}


def _labels(kind: str, texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    return {(kind, text) for text in texts if text}


def asked(original: NotebookNode) -> frozenset[str]:
    """The names that an answer's cell is there to define; none for other cells."""
    is_code = is_solution(original) and original.cell_type == "code"
    return names_of(original.source).defined if is_code else frozenset()


# Ways to tell which cell of the release a submitted cell is: labels of the one, and labels of the other
_Way = tuple[Callable[[Cell], Iterable[Any]], Callable[[NotebookNode], Iterable[Any]]]
_BY_GRADE_ID: _Way = (lambda cell: {cell.grade_id} - {""}, lambda cell: {grade_id(cell)})
_BY_CELL_ID: _Way = (lambda cell: {cell.id} - {""}, lambda cell: {cell.id})
_BY_TEXT: _Way = (
    lambda cell: _labels(cell.type, [_plain(cell.source)]),
    lambda cell: _labels(cell.cell_type, texts(cell)),
)
_BY_DEFINITION: _Way = (lambda cell: names_of(cell.source).defined if cell.type == "code" else (), asked)
