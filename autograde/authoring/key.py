"""A chapter's key: the exercises that `solutions/<chapter>/key.py` declares, in their order."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from autograde.exercises import BadKey, Exercise


@dataclass(frozen=True)
class Key:
    chapter: str  # the folder's name, which is nbgrader's assignment id
    exercises: dict[str, Exercise]  # by id, in the order of the chapter
    digest: str  # of the key's source: marks given under another digest are out of date

    def of(self, student: str) -> Key:
        """The key for one student's variants; `student` is `sheet.full_name` of the course and the student id."""
        return replace(self, exercises={name: exercise.of(student) for name, exercise in self.exercises.items()})

    def __getitem__(self, exercise_id: str) -> Exercise:
        return self.exercises[exercise_id]


def load_key(folder: Path) -> Key:
    """The key in `folder`.

    Raises:
        BadKey: there is no key.py, it cannot be executed, it declares nothing, or two exercises share an id or a
            variable.
    """
    path = folder.resolve() / "key.py"
    if not path.is_file():
        raise BadKey(f"no key.py in {folder}: every chapter with exercises declares them there")
    return _load(path, path.read_bytes())


@lru_cache(maxsize=32)
def _load(path: Path, source: bytes) -> Key:
    name = f"autograde_key_{hashlib.sha256(bytes(path)).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and inspect look a function's module up here
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a key is Python, and may fail in any way
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
        kind = "" if isinstance(error, BadKey) else f"{type(error).__name__}: "
        raise BadKey(f"{path.parent.name}/key.py, line {line}: {kind}{error}") from error
    exercises: dict[str, Exercise] = {}
    for value in vars(module).values():
        if isinstance(value, Exercise) and value not in exercises.values():
            taken = [other.id for other in exercises.values() if value.variable == other.variable]
            if value.id in exercises or taken:
                raise BadKey(f"{path.parent.name}: two exercises are called {value.id} or {value.variable}; rename one")
            exercises[value.id] = value
    if not exercises:
        raise BadKey(f"{path.parent.name}/key.py declares no exercise")
    return Key(path.parent.name, exercises, hashlib.sha256(source).hexdigest())


def nearest(name: str, names: list[str]) -> str:
    """A suggestion for a name that is not there: `; did you mean …?` or the list of those that are."""
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there is {', '.join(sorted(names))}" if names else "; there is none"
