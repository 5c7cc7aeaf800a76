"""Collects the functions that a learner wrote in the chapters, so that a later chapter can call them.

Every chapter's saved notebook is in its own folder, beside this one. The functions in it are written to a module
file and imported from there. Where a function is missing, not written yet or wrong on its examples, the book's own
function is used instead, and `print` of the result says so.
"""

from __future__ import annotations

import ast
import atexit
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from autograde.answers import ILLUSTRATION
from autograde.answers.outcomes import outcome_difference, outcomes
from autograde.answers.sheet import read_sheet


@dataclass(frozen=True)
class Piece:
    """One function, and where it came from."""

    name: str
    chapter: str
    function: Callable[..., Any]  # the learner's own, or the stand-in
    problem: str = ""  # why a stand-in was needed; empty where the function is the learner's own

    def __str__(self) -> str:
        if self.problem:
            return f"{self.name} ({self.chapter}): {self.problem}. The book's own stands in."
        return f"{self.name} ({self.chapter}): yours."


class Pieces:
    """Functions by name: `pieces.patchify(images, 16)`. Its text says which are the learner's own."""

    def __init__(self, found: Sequence[Piece]) -> None:
        self.found = {piece.name: piece for piece in found}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__") or name not in self.found:  # "__": what copy and pickle ask for before __init__
            raise AttributeError(f"no function {name!r} was collected")
        return self.found[name].function

    def __repr__(self) -> str:
        own = sum(not piece.problem for piece in self.found.values())
        return "\n".join([f"{own} of {len(self.found)} functions are yours.", *map(str, self.found.values())])


def collect(stand_ins: object, chapters: Mapping[str, Sequence[str]], **here: Any) -> Pieces:
    """The learner's functions from the saved notebooks of other chapters, and those of this notebook.

    stand_ins: a module or object that has a function of every name, used where the learner's own cannot be;
    chapters: the names to collect, by the chapter's folder; here: functions of the calling notebook, by name.

    The learner's own function is used if it passes the examples of its exercise.
    """
    this = Path.cwd()
    found: list[tuple[str, str, Any, str]] = []
    for chapter, names in chapters.items():
        written = _Notebook(this.parent / chapter)
        for name in names:
            function = written.functions.get(name)
            found.append((name, chapter, function, written.problem or _problem_with(function, name, written.folder)))
    found += [(name, this.name, function, _problem_with(function, name, this)) for name, function in here.items()]
    return Pieces(
        [
            Piece(name, chapter, getattr(stand_ins, name) if problem else function, problem)
            for name, chapter, function, problem in found
        ]
    )


class _Notebook:
    """What a chapter's saved notebook defines. Where it cannot be read, `problem` says why."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem = ""
        self.functions: dict[str, Any] = {}
        try:
            source = module_source(folder / f"{folder.name}.ipynb")
        except FileNotFoundError:
            self.problem = "its notebook is not in the folder next door"
            return
        except (ValueError, KeyError, TypeError):
            self.problem = "its notebook is damaged"
            return
        try:
            self.functions = vars(_imported(source, folder.name))
        except Exception as error:  # whatever a learner's lines raise when they are imported
            self.problem = f"the chapter's lines stop with {type(error).__name__}: {error}"


def module_source(path: Path) -> str:
    """The imports, functions and plain constants of a saved notebook, as the text of a module.

    Illustrations are left out, and so are statements that are not definitions.

    Raises:
        FileNotFoundError, or ValueError, KeyError, TypeError: the file is missing, or is not a notebook.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts: list[str] = []
    for cell in cells:
        if cell["cell_type"] == "code" and ILLUSTRATION not in cell["metadata"].get("tags", []):
            parts += _definitions("".join(cell["source"]))
    return "\n\n".join(parts) + "\n"


def _definitions(text: str) -> Iterator[str]:
    try:
        statements = ast.parse(text).body
    except SyntaxError:  # a half-written cell, or one of IPython's own commands
        return
    lines = text.splitlines()
    for statement in statements:
        if _defines(statement):
            first = min([statement.lineno, *(line.lineno for line in getattr(statement, "decorator_list", []))])
            yield "\n".join(lines[first - 1 : statement.end_lineno])


def _defines(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if any(isinstance(part, ast.Subscript | ast.Attribute) for target in targets for part in ast.walk(target)):
            return False  # it changes a part of something
        try:
            ast.literal_eval(statement.value)
        except ValueError:  # it computes something
            return False
        return True
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _imported(source: str, chapter: str) -> ModuleType:
    name = f"mine_{chapter.replace('-', '_')}"
    folder = tempfile.mkdtemp(prefix="mine-")
    atexit.register(shutil.rmtree, folder)  # until then, so that a traceback can show the learner's lines
    path = Path(folder) / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look a class's module up here
    spec.loader.exec_module(module)
    return module


def _problem_with(function: Any, name: str, folder: Path) -> str:
    """Why `function` does not solve its exercise in `folder`; empty where it passes the examples."""
    try:
        entries = read_sheet(folder)["exercises"].values()
    except (OSError, ValueError) as error:
        return str(error)
    entry = next((entry for entry in entries if "examples" in entry and entry["variable"] == name), None)
    if entry is None:
        return "this chapter has no such exercise"
    if function is None or function is ...:
        return "not written yet, or its cell has a mistake in its syntax"
    results = outcomes(function, entry["examples"])
    if all(result == {"value": {"blank": True}} for result in results):
        return "not written yet"
    differences = map(outcome_difference, entry["expected"], results, [entry["tolerance"]] * len(results))
    problem = next(filter(None, differences), "")
    return f"an example goes wrong, {problem}" if problem else ""
