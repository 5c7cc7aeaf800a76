"""One submission's grading as a pure function from bytes to bytes.

A job carries everything that its result depends on, so it can run anywhere: no shared file system, no gradebook.
Results are kept under the job's fingerprint, written the moment they arrive. A run that was killed goes on from there.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, reads_json, writes_json

from autograde.answers.sheet import FILE_NAME
from autograde.authoring.key import Key, load_key
from autograde.engine.execute import Limits, run_notebook
from autograde.engine.repair import repair
from autograde.engine.verdict_cell import write_verdict
from autograde.exercises.verdict import Verdict


class WrongEnvironment(Exception):
    """This process would not give the marks that the grader asks for; the text says what differs."""


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
    template: bytes  # the released notebook
    sheet: bytes  # exercises.json
    key: bytes  # key.py; stays in the grader's process
    student: str = ""  # full name, where everyone has numbers of their own
    remark: str = ""  # what there is to say about whose numbers these are
    missing: str = ""  # why there is no notebook, where none was handed in
    limits: Limits = field(default_factory=Limits)
    environment: str = field(default_factory=environment)

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same work: 64 hexadecimal digits over everything the marks depend on."""
        settings = (self.chapter, self.student, self.remark, self.missing, self.environment, asdict(self.limits))
        parts = (self.submitted, self.template, self.sheet, self.key, repr(settings).encode())
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def grade_submission(job: Job, tell: Callable[[Verdict], object] = lambda verdict: None) -> bytes:
    """The graded notebook: repaired, run, its verdicts in its cells. `tell` hears each verdict when it is reached.

    Raises:
        WrongEnvironment: this process has other versions than the one that made the job.
        SandboxError: this machine cannot sandbox.
    """
    if job.environment != environment():
        raise WrongEnvironment(f"a worker has {environment()}, the grader {job.environment}: install the same there")
    if job.missing:
        return lost(job, job.missing)
    notebook = repair(job.submitted, _template(job.template)).notebook
    notebook.metadata.autograde.graded = job.fingerprint
    if job.remark:
        notebook.metadata.autograde.notes.append(job.remark)
        shown = f"```text\n{job.remark}\n```"  # the name in it is the learner's: as text it does nothing on a page
        notebook.cells.insert(0, new_markdown_cell(shown, id="whose-numbers"))
    with tempfile.TemporaryDirectory(prefix="autograde-") as desk:
        Path(desk, FILE_NAME).write_bytes(job.sheet)
        run_notebook(notebook, _key(job), Path(desk), job.limits, tell)
    return writes_json(notebook).encode()


def lost(job: Job, reason: str, earned: Mapping[str, Verdict] | None = None) -> bytes:
    """The graded notebook of a submission that cannot be graded: every exercise is lost, and `reason` says why.

    What was `earned` before, by exercise, stays. It is the released notebook: what was handed in may be what failed.
    """
    notebook = copy.deepcopy(_template(job.template))
    notebook.metadata.autograde = {"notes": [], "failure": reason, "graded": job.fingerprint}
    exercises = _key(job).exercises
    for cell in notebook.cells:
        if cell.id in exercises:  # the graded cell; the answer's is called <id>-answer
            write_verdict(cell, (earned or {}).get(cell.id) or exercises[cell.id].lost(f"No answer arrived: {reason}."))
    return writes_json(notebook).encode()


def _key(job: Job) -> Key:
    key = _load(job.chapter, job.key)
    return key.of(job.student) if job.student else key


@lru_cache(maxsize=8)
def _load(chapter: str, source: bytes) -> Key:
    with tempfile.TemporaryDirectory(prefix="autograde-") as place:
        folder = Path(place, chapter)
        folder.mkdir()
        (folder / "key.py").write_bytes(source)
        return load_key(folder)


@lru_cache(maxsize=8)
def _template(released: bytes) -> NotebookNode:
    """The released notebook; callers copy what they change."""
    return reads_json(released.decode())


@dataclass(frozen=True)
class Results:
    """Finished jobs on disk, by fingerprint."""

    folder: Path

    def get(self, fingerprint: str) -> NotebookNode | None:
        path = self._path(fingerprint)
        return reads_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def put(self, fingerprint: str, graded: bytes) -> None:
        """Keep a result; it is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(fingerprint), graded)

    def forget(self, fingerprint: str) -> None:
        self._path(fingerprint).unlink(missing_ok=True)

    def _path(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint}.ipynb"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens on the way, it has its old content or the new one."""
    temporary = path.with_suffix(".part")  # one name: what a killed run left is overwritten
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
