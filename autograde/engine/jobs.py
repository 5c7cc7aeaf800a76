"""One submission's grading as a pure function from bytes to bytes.

A job carries everything that its result depends on, so it can run anywhere: no shared file system, no gradebook.
Results are kept under the job's fingerprint, written the moment they arrive. A run that was killed goes on from there.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import reads_json

from autograde.answers.sheet import FILE_NAME
from autograde.authoring.key import Key, load_key
from autograde.engine.cells import error_output
from autograde.engine.execute import run_notebook
from autograde.engine.limits import Limits
from autograde.engine.nbgrader_tests import is_test, look_at, suspicions
from autograde.engine.repair import add_notes, repair
from autograde.engine.results import scratch_folder
from autograde.engine.verdict_cell import write_verdict
from autograde.exercises import BadKey
from autograde.exercises.verdict import Verdict

Files = tuple[tuple[str, bytes], ...]  # name, with folders, and content
UNREADABLE = "could not be read, ask for it again: "  # how such a failure begins


class WrongEnvironment(Exception):
    """This process would not give the marks that the grader asks for; the text says what differs."""


class Unsettled(Exception):
    """Time ran out where it should not, as on a busy machine: the result is shown, and not kept."""

    def __init__(self, graded: bytes):
        super().__init__(graded)
        self.graded = graded  # the notebook, as far as it got


@cache
def environment() -> str:
    """What marks depend on besides the job: versions, and the code of the two packages."""
    code = hashlib.sha256()
    for package in ("autograde", "vitlib"):
        for path in sorted(_place(package).rglob("*.py")):
            code.update(path.read_bytes())
    versions = " ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "ipykernel"))
    return f"python {platform.python_version()} {versions} code {code.hexdigest()[:16]}"


def _place(package: str) -> Path:
    """A package's folder; it is found, not imported, which for vitlib would take seconds."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is not installed"
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True)
class Job:
    """What grading one submission needs, and all that it needs."""

    chapter: str
    submitted: bytes  # the notebook as it was handed in
    template: bytes  # the released notebook; its tests are those that are to run, hidden ones included
    sheet: bytes = b""  # exercises.json, where the chapter has a key
    key: bytes = b""  # key.py; stays in the grader's process. None: nbgrader's own tests grade
    student: str = ""  # full name, where everyone has numbers of their own
    missing: str = ""  # why there is no notebook, where none was handed in
    files: Files = ()  # what lies beside the notebook when it runs: handed in, or released
    notes: tuple[str, ...] = ()  # what collecting has repaired or left out
    doubts: tuple[str, ...] = ()  # why a teacher should look at it
    limits: Limits = field(default_factory=Limits)
    environment: str = field(default_factory=environment)

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same work: 64 hexadecimal digits over everything the marks depend on."""
        words = (self.chapter, self.student, self.missing, self.notes, self.doubts, self.environment)
        settings = repr((words, asdict(self.limits), [name for name, _ in self.files])).encode()
        parts = (self.submitted, self.template, self.sheet, self.key, settings, *(data for _, data in self.files))
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def grade_submission(job: Job, tell: Callable[[Verdict], object] = lambda verdict: None) -> bytes:
    """The graded notebook: repaired, run, its verdicts in its cells. `tell` is called with each verdict at once.

    Raises:
        WrongEnvironment: this process has other versions than the one that made the job.
        BadKey: the key cannot be read, or has not every exercise that was released.
        SandboxError: this machine cannot sandbox.
        Unsettled: time ran out in cells that are not the learner's.
    """
    if job.environment != environment():
        raise WrongEnvironment(f"a worker has {environment()}, the grader {job.environment}: install the same there")
    key = _key(job)
    if job.missing:
        return lost(job, job.missing)
    repaired = repair(job.submitted, _template(job.template), job.notes)
    if repaired.unreadable:
        return lost(job, f"{UNREADABLE}{repaired.unreadable}")
    notebook = repaired.notebook
    notebook.metadata.autograde.graded = job.fingerprint
    look_at(notebook, list(job.doubts))
    with scratch_folder() as folder:
        _write_files(folder, job)
        run_notebook(notebook, key, folder, job.limits, tell)
    if any(is_test(cell) and cell.id not in key.exercises for cell in notebook.cells):
        look_at(notebook, suspicions(notebook, _template(job.template)))
    if reason := notebook.metadata.autograde.get("unsettled"):
        notebook.metadata.autograde.failure = f"time ran out, which may be the machine's fault: {reason}"
        raise Unsettled(as_bytes(notebook))
    return as_bytes(notebook)


def _write_files(folder: Path, job: Job) -> None:
    """Put a submission's files where its notebook runs; ours come last."""
    for name, content in (*job.files, *([(FILE_NAME, job.sheet)] if job.sheet else [])):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name!r} leads out of the submission's folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def lost(job: Job, reason: str, earned: Mapping[str, Verdict] | None = None) -> bytes:
    """The graded notebook of a submission that cannot be graded: every exercise is lost, and `reason` says why.

    What was `earned` before, by exercise, stays. It is the released notebook: what was handed in may be what failed.
    """
    notebook = copy.deepcopy(_template(job.template))
    notebook.metadata.autograde = NotebookNode(notes=[], failure=reason, graded=job.fingerprint)
    add_notes(notebook, list(job.notes))
    try:
        exercises = _key(job).exercises
    except Exception:  # the key is what failed
        exercises = {}
    for cell in notebook.cells:
        if cell.id in exercises:  # the graded cell; the answer's is called <id>-answer
            write_verdict(cell, (earned or {}).get(cell.id) or exercises[cell.id].lost(f"No answer arrived: {reason}."))
        elif is_test(cell):  # no output is full marks
            cell.outputs = [error_output("NotGraded", reason)]
    return as_bytes(notebook)


def as_bytes(notebook: NotebookNode) -> bytes:
    """A notebook as a file; without nbformat's indentation, which takes ten times as long to write."""
    return json.dumps(notebook, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _key(job: Job) -> Key:
    """The key that a job is marked by: this student's numbers, and the points that were released.

    Raises:
        BadKey: it cannot be read, or has not every exercise that was released. Without its key, an exercise's check
            would run beside the learner's code, as one of nbgrader's tests.
    """
    key = _load(job.chapter, job.key) if job.key else Key(job.chapter, {}, "")
    points = {cell.id: cell.metadata.nbgrader.points for cell in _template(job.template).cells if is_test(cell)}
    released = json.loads(job.sheet or "{}").get("exercises", {})
    if missing := [name for name in points if name in released and name not in key.exercises]:
        what = f"has no {', '.join(missing)}" if job.key else "is not there"
        raise BadKey(
            f"{job.chapter}/key.py {what}, but the chapter was released with it: put it back, or drop it with "
            f"`autograde release --migrate {job.chapter}`"
        )
    key = key.of(job.student) if job.student else key
    changed = {
        name: replace(exercise, points=points[name])
        for name, exercise in key.exercises.items()
        if points.get(name, exercise.counted) != exercise.counted
    }
    return replace(key, exercises=key.exercises | changed) if changed else key


@lru_cache(maxsize=8)
def _load(chapter: str, source: bytes) -> Key:
    with scratch_folder() as place:
        folder = place / chapter
        folder.mkdir()
        (folder / "key.py").write_bytes(source)
        return load_key(folder)


@lru_cache(maxsize=8)
def _template(released: bytes) -> NotebookNode:
    """The released notebook; callers copy what they change."""
    return reads_json(released.decode())
