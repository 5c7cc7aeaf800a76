"""One submission's grading as a pure function from bytes to bytes, and many of them on many cores or machines.

A job carries everything that its result depends on, so it can run anywhere: no shared file system, no gradebook.
Results are kept under the job's fingerprint, written the moment they arrive. A run that was killed goes on from there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.key import load_key
from autograde.repair import repair
from autograde.run import Limits, run_notebook
from autograde.sheet import FILE_NAME


@cache
def environment() -> str:
    """What marks depend on besides the job: versions, and the code of the two packages."""
    import autograde
    import vitlib

    code = hashlib.sha256()
    for package in (autograde, vitlib):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            code.update(path.read_bytes())
    versions = " ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "ipykernel"))
    return f"python {platform.python_version()} {versions} code {code.hexdigest()[:16]}"


@dataclass(frozen=True)
class Job:
    """What grading one submission needs, and all that it needs."""

    chapter: str
    submitted: bytes  # the notebook as it was handed in
    template: bytes  # the released notebook
    sheet: bytes  # exercises.json
    key: bytes  # key.py; stays in the grader's process
    student: str = ""  # full name, where everyone has numbers of their own
    limits: Limits = field(default_factory=Limits)
    environment: str = field(default_factory=environment)

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same work: 64 hexadecimal digits over everything the marks depend on."""
        settings = f"{self.chapter} {self.student} {self.environment} {asdict(self.limits)}".encode()
        parts = (self.submitted, self.template, self.sheet, self.key, settings)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def sit(job: Job) -> bytes:
    """The graded notebook: repaired, run, its verdicts in its cells."""
    with tempfile.TemporaryDirectory(prefix="autograde-") as scratch:
        folder = Path(scratch) / "key" / job.chapter
        folder.mkdir(parents=True)
        (folder / "key.py").write_bytes(job.key)
        key = load_key(folder).of(job.student) if job.student else load_key(folder)
        desk = Path(scratch) / "desk"
        desk.mkdir()
        (desk / FILE_NAME).write_bytes(job.sheet)
        notebook = repair(job.submitted, nbformat.reads(job.template.decode(), as_version=4)).notebook
        notebook.metadata.autograde.graded = job.fingerprint
        run_notebook(notebook, key, desk, job.limits)
    return nbformat.writes(notebook).encode()


@dataclass(frozen=True)
class Results:
    """Finished jobs on disk, by fingerprint."""

    folder: Path

    def get(self, fingerprint: str) -> NotebookNode | None:
        path = self._path(fingerprint)
        return nbformat.read(path, as_version=4) if path.is_file() else None

    def put(self, fingerprint: str, graded: bytes) -> None:
        """Keep a result; it is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(fingerprint)
        temporary = path.with_suffix(f".{os.getpid()}.part")
        with temporary.open("wb") as file:
            file.write(graded)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def forget(self, fingerprint: str) -> None:
        self._path(fingerprint).unlink(missing_ok=True)

    def _path(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint}.ipynb"


def run_jobs(jobs: list[Job], workers: int, scheduler: str = "") -> Iterator[tuple[Job, bytes | Exception]]:
    """Each job with its result as it arrives, on `workers` local processes or on the cluster at `scheduler`.

    A job whose worker dies is tried once more elsewhere; if that worker dies too, its result is the exception.

    Raises:
        OSError: nothing answers at `scheduler`.
    """
    if workers <= 1 and not scheduler:
        for job in jobs:
            yield job, _done_here(job)
        return
    import dask  # its import and its processes are worth it for several workers only
    from dask.distributed import Client, LocalCluster, as_completed

    by_key = {job.fingerprint: job for job in jobs}
    dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.worker.daemon": False})
    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": "ERROR"}
    with (scheduler and Client(scheduler, timeout=20)) or Client(LocalCluster(**local)) as client:
        futures = [client.submit(sit, job, key=fingerprint, pure=True) for fingerprint, job in by_key.items()]
        for future in as_completed(futures):
            error = future.exception()
            yield by_key[future.key], error if error is not None else future.result()


def _done_here(job: Job) -> bytes | Exception:
    try:
        return sit(job)
    except Exception as error:  # the next submission is graded all the same
        return error
