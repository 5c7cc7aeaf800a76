"""From the key to the instructor's notebook: the three cells of every exercise are written here, nowhere else.

An author places an exercise by a Markdown cell that says `{exercise patch-tokens}`. Weaving turns it into the prompt,
the answer cell and the graded cell, and refreshes all three whenever the key changes. Other cells stay as
they are.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.answers.sheet import FILE_NAME
from autograde.authoring.files import read_notebook, write_whole
from autograde.authoring.key import Key, load_key
from autograde.authoring.prompt import heading, question
from autograde.authoring.sheet import make_sheet
from autograde.exercises import BadKey, Exercise

_CLAIM = re.compile(r"\d+ exercises? takes? \d+ of these minutes and gives? [\d.]+ points?")
_PLACE = re.compile(r"\{exercise ([a-z0-9-]+)\}\s*$")


def weave(folder: Path, feedback: str = "full", course: str = "") -> bool:
    """Bring the notebook and the exercises.json in `folder` in line with its key; True if a file changed.

    `course` is given where every student gets their own variant.

    Raises:
        BadKey: the key contradicts itself, or the notebook and the key have different exercises. The text names the
            lines to fix.
        AutogradeError: the notebook cannot be read.
    """
    key = load_key(folder)
    sheet = folder / FILE_NAME
    old = sheet.read_text(encoding="utf-8") if sheet.exists() else ""
    if f'"key": "{key.digest}"' not in old:  # unchanged keys were checked when the sheet was written
        refuse_problems(key)
    path = folder / f"{folder.resolve().name}.ipynb"
    notebook = read_notebook(path)
    before = path.read_text(encoding="utf-8")
    _give_ids(notebook)
    _refuse_wrong_counts(notebook.cells, key)
    notebook.cells = _woven_cells(notebook.cells, dict(key.exercises), key.chapter)
    changed = _write_if_new(path, nbformat.writes(notebook) + "\n", before)
    return _write_if_new(sheet, make_sheet(key, feedback, course, old), old) or changed


def refuse_problems(key: Key) -> None:
    """Raises BadKey where the key contradicts itself, with every line to fix."""
    exercises = key.exercises.values()
    found = [(line, f"{exercise.id}: {text}") for exercise in exercises for line, text in exercise.problems()]
    if found:
        lines = "\n".join(f"  {key.chapter}/key.py, line {line}: {text}" for line, text in sorted(found))
        raise BadKey(f"{key.chapter} cannot be woven:\n{lines}")


def _refuse_wrong_counts(cells: list[NotebookNode], key: Key) -> None:
    """Where the first cell counts exercises, minutes and points, it has to count them right."""
    exercises = key.exercises.values()
    count, minutes, points = len(exercises), sum(e.minutes for e in exercises), sum(e.counted for e in exercises)
    words = ("exercises take", "give") if count != 1 else ("exercise takes", "gives")
    true = f"{count} {words[0]} {minutes} of these minutes and {words[1]} {points:g} point{'s' * (points != 1)}"
    claim = _CLAIM.search(cells[0].source) if cells else None
    if claim is not None and claim[0] != true:
        raise BadKey(f"{key.chapter}: its first cell says {claim[0]!r}; write {true!r}")


def _give_ids(notebook: NotebookNode) -> None:
    """An id for each cell that has none, as Colab and older formats leave it: a cell of ours gets its own again."""
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", cell.metadata.get("nbgrader", {}).get("grade_id") or f"cell-{number}")
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)


def _woven_cells(cells: list[NotebookNode], exercises: dict[str, Exercise], chapter: str) -> list[NotebookNode]:
    old = {cell.id: cell for cell in cells}
    woven: list[NotebookNode] = []
    placed: list[str] = []
    ours = {f"{name}{part}" for name in exercises for part in ("", "-answer")}
    dropped = {cell.id for cell in cells if cell.source.startswith(f'check("{cell.id}", ')} - exercises.keys()
    cells = [cell for cell in cells if re.sub("-(answer|prompt)$", "", cell.id) not in dropped]
    for cell in cells:
        place = _PLACE.match(cell.source) if cell.cell_type == "markdown" else None
        name = place[1] if place else cell.id.removesuffix("-prompt") if cell.id.endswith("-prompt") else None
        if name is None or (not place and name not in exercises):
            if cell.id not in ours:
                woven.append(cell)
        elif name not in exercises:
            raise BadKey(f"{chapter}: the notebook places exercise {name}, which key.py does not declare")
        elif name in placed:
            raise BadKey(f"{chapter}: the notebook places exercise {name} twice")
        else:
            placed.append(name)
            woven += [_refreshed(old, new) for new in _exercise_cells(exercises[name], len(placed))]
    missing = [name for name in exercises if name not in placed]
    if missing:
        raise BadKey(f"{chapter}: the notebook has no place for {', '.join(missing)}; write {{exercise {missing[0]}}}")
    if placed != list(exercises):
        raise BadKey(f"{chapter}: the notebook's order is {', '.join(placed)}; put key.py in the same order")
    return woven


def _exercise_cells(exercise: Exercise, number: int) -> list[NotebookNode]:
    words = f"{heading(exercise, number)}\n\n{question(exercise)}"
    prompt = nbformat.v4.new_markdown_cell(words, id=f"{exercise.id}-prompt")
    answer = nbformat.v4.new_code_cell(exercise.answer_source(), id=f"{exercise.id}-answer")
    graded = nbformat.v4.new_code_cell(f'check("{exercise.id}", {exercise.variable})', id=exercise.id)
    graded.metadata.nbgrader = {"grade": True, "points": exercise.counted}
    for cell in (prompt, answer, graded):
        common = {"schema_version": 3, "grade_id": cell.id, "task": False, "grade": False, "solution": cell is answer}
        cell.metadata.nbgrader = common | {"locked": cell is not answer} | cell.metadata.get("nbgrader", {})
        cell.metadata.editable = cell is answer
        cell.metadata.deletable = False
    graded.metadata.tags = ["raises-exception"]  # Run All continues after an exercise that is not solved yet
    return [prompt, answer, graded]


def _refreshed(old: dict[str, NotebookNode], new: NotebookNode) -> NotebookNode:
    """The new cell, with the outputs of the old one where its source is still the same."""
    before = old.get(new.id)
    if new.cell_type == "code" and before is not None and before.source == new.source:
        new.outputs, new.execution_count = before.outputs, before.execution_count
    return new


def _write_if_new(path: Path, text: str, before: str) -> bool:
    if text == before:
        return False
    write_whole(path, text.encode())
    return True
