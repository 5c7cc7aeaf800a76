"""What is in a submission's folder: the notebook, found where it can be found, and the files that it runs with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import reads_json

from autograde.answers.names import composed
from autograde.answers.sheet import FILE_NAME
from autograde.course.seal import Seal
from autograde.engine.cells import is_solution
from autograde.engine.jobs import Files
from autograde.engine.matching import same
from autograde.engine.reading import MAX_FILE, Unreadable, read_cells, slim

ENDING = ".ipynb"
ARCHIVES = {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"}
_OTHER_ENDINGS = ("", ".json", ".txt")  # under which a browser may have saved a notebook
MAX_FILES = 500  # beside a notebook
MAX_BESIDE = 48 * 2**20  # bytes of them, all together
MAX_SEEN = 10_000  # files that are looked at
MAX_DEPTH = 10  # folders below the submission's
# What systems and editors leave behind, and what is nbgrader's: nobody means to hand it in
DEBRIS = {"__pycache__", "__MACOSX", ".ipynb_checkpoints", ".git", ".DS_Store", "Thumbs.db", "desktop.ini", ".venv"}
OURS = {FILE_NAME, "key.py", "timestamp.txt"}  # of these the learner's copy counts for nothing


def is_notebook(name: str) -> bool:
    """Whether a file's name says that it is a notebook, with what a browser or system may have added to it.

    >>> [name for name in ("a.ipynb", "A.IPYNB", "a.ipynb.txt", "a.ipynb.json", "a.py") if is_notebook(name)]
    ['a.ipynb', 'A.IPYNB', 'a.ipynb.txt', 'a.ipynb.json']
    """
    return ENDING in name.lower()


def stem(name: str) -> str:
    """A notebook's name without its ending.

    >>> [stem(name) for name in ("a.ipynb", "A.IPYNB", "a.ipynb.txt")]
    ['a', 'A', 'a']
    """
    return name[: name.lower().index(ENDING)]


@dataclass
class HandedIn:
    """A submission as it goes into a job."""

    notebook: bytes = b""
    missing: str = ""  # why there is none
    files: Files = ()
    notes: list[str] = field(default_factory=list)  # what was left out, or found elsewhere


def read_submission(folder: Path, root: Path, chapter: str, seal: Seal) -> HandedIn:
    """What a learner handed in as the notebook `chapter`, with the files that were released beside it.

    `root` holds all submissions: no link on the way from it is followed, it could lead to the key or to a neighbour.
    Of a file that was released, the released one counts.
    """
    found = list(islice(_files_in(folder), MAX_SEEN)) if is_own(folder, root) else []
    notes: list[str] = []
    others = {composed(f"{name}.ipynb") for name in seal.notebooks if name != chapter}  # of the same assignment
    notebooks = [path for path in found if is_notebook(path.name) and composed(path.name) not in others]
    if not notebooks:  # a browser may have saved it under another ending
        likely = [path for path in found if path.suffix.lower() in _OTHER_ENDINGS]
        notebooks = [path for path in likely[:20] if _reads(path)]
    chosen = _choose(notebooks, folder, chapter, seal, notes)
    if chosen is None:
        return HandedIn(missing=_what_is_there(folder, found, f"{chapter}.ipynb", root))
    if chosen.stat().st_size > MAX_FILE:
        return HandedIn(
            missing=f"{chosen.name} has more than {MAX_FILE >> 20} MiB: clear its outputs, hand it in again"
        )
    given = dict(_contents(seal.folder, [path for path in _files_in(seal.folder) if not is_notebook(path.name)], []))
    mine = _contents(chosen.parent, [path for path in found if not is_notebook(path.name)], notes)
    if changed := [name for name, content in mine if given.get(name, content) != content]:
        notes.append(f"The released {_listed(changed)} counts; the copy that was handed in differs from it.")
    return HandedIn(slim(chosen.read_bytes()), files=tuple(sorted((dict(mine) | given).items())), notes=notes)


def is_own(path: Path, root: Path) -> bool:
    """Whether no link is on the way from `root` to `path`: it could lead to the key, or to a neighbour's work."""
    straight = os.path.join(os.path.realpath(root), path.relative_to(root))
    return not path.is_symlink() and os.path.realpath(path) == straight


def _files_in(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Regular files, those of a folder before those of folders in it; links are neither read nor followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_dir(follow_symlinks=False), entry.name))
    except OSError:
        return
    for entry in entries:
        if entry.name in DEBRIS or entry.name.startswith("._"):
            continue
        if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
            yield from _files_in(Path(entry.path), depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _choose(notebooks: list[Path], folder: Path, chapter: str, seal: Seal, notes: list[str]) -> Path | None:
    """The notebook to grade: one that was worked in, of the chapter's name, highest; else one that looks like it."""
    if not notebooks:
        return None

    def rank(path: Path) -> tuple[bool, bool, bool, bool, int, float]:
        named, worked_in = composed(path.name) == expected, _is_worked_in(path, template)
        return _reads(path), worked_in, named, chapter in path.name, -len(path.parts), path.stat().st_mtime

    expected = composed(f"{chapter}.ipynb")
    if len(notebooks) > 1:
        template = reads_json(seal.notebook(chapter).decode())
        likely = sorted(notebooks, key=lambda path: (composed(path.name) != expected, chapter not in path.name))
        chosen = max(likely[:20], key=rank)  # somebody may hand in the whole book
    else:
        chosen = notebooks[0]
    name = _shown(chosen.relative_to(folder))
    if composed(str(chosen.relative_to(folder))) != expected:
        notes.append(f"Graded is {name}: {chapter}.ipynb is not there, cannot be read, or is as it was released.")
    if others := [_shown(path.relative_to(folder)) for path in notebooks if path != chosen]:
        notes.append(f"Not graded: {_listed(others)}. One notebook of a submission is, and it is {name}.")
    return chosen


def _reads(path: Path) -> bool:
    """Whether a notebook can be read; asked only where there is a choice."""
    try:
        return path.stat().st_size <= MAX_FILE and bool(read_cells(path.read_bytes(), []))
    except (OSError, Unreadable):
        return False


def _is_worked_in(path: Path, template: NotebookNode) -> bool:
    """Whether an answer of this release in it is not as it was released."""
    answers = {cell.metadata.nbgrader.grade_id: cell for cell in template.cells if is_solution(cell)}
    try:
        cells = read_cells(path.read_bytes(), []) if path.stat().st_size <= MAX_FILE else []
    except (OSError, Unreadable):
        return False
    return any(cell.grade_id in answers and not same(cell, answers[cell.grade_id]) for cell in cells)


def _contents(base: Path, paths: list[Path], notes: list[str]) -> list[tuple[str, bytes]]:
    """The files below `base` by their names there, up to a number and size; the notes name what is left out."""
    kept: list[tuple[str, bytes]] = []
    left_out: list[str] = []
    room = MAX_BESIDE
    for path in paths:
        if not path.is_relative_to(base) or path.relative_to(base).as_posix() in OURS:
            continue
        name = path.relative_to(base).as_posix()
        try:
            size = path.lstat().st_size
            name.encode()
            if len(kept) >= MAX_FILES or size > room:
                raise OSError("no room")
            kept.append((name, path.read_bytes()))
            room -= size
        except (OSError, UnicodeEncodeError):
            left_out.append(_shown(path.relative_to(base)))
    if left_out:
        limits = f"up to {MAX_FILES} files of {MAX_BESIDE >> 20} MiB in all, with names in UTF-8, are used"
        notes.append(f"Left out: {_listed(left_out)}; {limits}.")
    return kept


def _what_is_there(folder: Path, found: list[Path], expected: str, root: Path) -> str:
    names = sorted(path.name + " (a link)" * (not is_own(path, root)) for path in folder.glob("[!.]*.ipynb"))
    others = f"no notebook, but {_listed([path.name for path in found])}" if found else "no notebook"
    return f"expected {expected} in the submission, but it holds {_listed(names) if names else others}"


def strays(submitted: Path, chapters: Iterable[str]) -> list[str]:
    """Work among the submissions that is in no student's folder of a chapter, so that nobody grades it."""
    chapters, found = set(chapters), []
    for path in (*submitted.glob("*"), *submitted.glob("*/*")):
        is_work = is_notebook(path.name) or path.suffix.lower() in ARCHIVES
        if path.is_dir() and not path.is_symlink() and path.parent != submitted and path.name not in chapters:
            is_work = any(is_notebook(inner.name) for inner in islice(_files_in(path), MAX_SEEN))
        elif not path.is_file():
            continue
        elif path.suffix.lower() in _OTHER_ENDINGS:
            is_work = _reads(path)
        if is_work and not {path.name, path.parent.name} & DEBRIS and not path.name.startswith("."):
            found.append(_shown(path.relative_to(submitted)))
    return sorted(found)


def _listed(names: list[str]) -> str:
    shown = ", ".join(_printable(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _shown(path: Path) -> str:
    return _printable(path.as_posix())


def _printable(name: str) -> str:
    """A name that a page may show: signs that could act there, and bytes that are no UTF-8, are question marks."""
    return re.sub(r"[^\w .,+=@()/-]", "?", composed(os.fsencode(name).decode("utf-8", "replace")))[:100]
