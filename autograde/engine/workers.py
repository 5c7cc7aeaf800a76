"""Many jobs on many cores or machines: dask hands each job to a worker.

A worker has one job at a time, so that it is clear which job was running when a worker died. That job is tried again,
alone, when all others are done; if its second worker dies too, the job is given up. A worker whose job takes too long
ends itself, so that the class does not wait for it.
"""

from __future__ import annotations

import errno
import faulthandler
import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from autograde.engine.jobs import Job, Unsettled, WrongEnvironment, grade_submission
from autograde.engine.warm import warm_up
from autograde.engine.watch import Place, Watch
from autograde.exercises import BadKey
from autograde.exercises.verdict import Status, Verdict
from autograde.sandbox.view import SandboxError

Result = bytes | Exception
_NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_PATIENCE = 30  # seconds for a scheduler to answer
_PATIENCE_FOR_WORKERS = 300  # seconds for the first worker: where a machine is busy it imports for minutes
_TOPIC = "autograde-verdicts"  # where workers tell each verdict at once: what is known if they die


class ClusterError(Exception):
    """No workers to give jobs to; the text says why."""


class WorkerDied(Exception):
    """A job whose worker died, twice."""

    def __init__(self, earned: dict[str, Verdict]):
        super().__init__("the process that graded it died, and died again when it was tried once more")
        self.earned = earned  # verdicts that were reached before, by exercise


def run_jobs(jobs: Sequence[Job], workers: int, scheduler: str, watch: Watch) -> Iterator[tuple[Job, Result]]:
    """Each job with its result as it arrives: from `workers` processes (0: this one), or from the dask `scheduler`.

    A result is the graded notebook, or the exception that the job ended with. `watch` is notified of each job.

    Raises:
        ClusterError: nothing answers at `scheduler`, or no worker has joined it.
        SandboxError: a machine cannot sandbox. WrongEnvironment: it has other versions. OSError: its disk is full.
        BadKey: the key is not the one of what was released, or cannot be read.
    """
    if not jobs:
        return  # nothing is new: no worker needs to start
    in_cluster = workers or scheduler
    arriving = _run_in_cluster(jobs, workers, scheduler, watch) if in_cluster else _run_here(jobs, watch)
    for job, result in arriving:
        watch.ended(job.fingerprint)
        if isinstance(result, SandboxError | WrongEnvironment | BadKey) or getattr(result, "errno", None) in _NO_DISK:
            raise result  # type: ignore[misc]  # not the submission's fault: the next one would fail, too
        yield job, result


def _run_here(jobs: Sequence[Job], watch: Watch) -> Iterator[tuple[Job, Result]]:
    for job in jobs:
        watch.began(job.fingerprint)
        try:
            yield job, grade_submission(job)
        except Exception as error:  # the next submission is graded all the same
            yield job, error


def _run_in_cluster(jobs: Sequence[Job], workers: int, scheduler: str, watch: Watch) -> Iterator[tuple[Job, Result]]:
    from distributed import KilledWorker

    suspects = []
    with _client(min(workers, len(jobs)), scheduler) as client:
        for job, result in _in_flight(client, jobs, watch):
            if isinstance(result, KilledWorker | Unsettled):
                suspects.append(job)
            else:
                yield job, result
        for suspect in suspects:
            for job, result in _in_flight(client, [suspect], watch):
                yield job, WorkerDied(_earned(client, job)) if isinstance(result, KilledWorker) else result


@contextmanager
def _client(workers: int, scheduler: str) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    # On a busy machine a process may not come to answer for minutes. It is not gone, but dask would never take it back.
    dask.config.set({f"distributed.comm.timeouts.{what}": _PATIENCE_FOR_WORKERS for what in ("connect", "tcp")})
    if scheduler:
        try:
            client = Client(scheduler, timeout=_PATIENCE)
            client.wait_for_workers(1, timeout=_PATIENCE_FOR_WORKERS)
        except OSError as error:
            raise ClusterError(f"no dask scheduler with a worker answers at {scheduler} ({error})") from None
        with client:
            yield client
        return
    # A worker may start processes of its own. The first death already counts; the second try is ours.
    dask.config.set({"distributed.worker.daemon": False, "distributed.scheduler.allowed-failures": 0})
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    warm_up()
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})  # a submission may have 20 MiB
    dask.config.set({"distributed.admin.low-level-log-length": 100})  # of messages kept, with a submission in each
    dask.config.set({"distributed.worker.memory.pause": False})  # a worker that held much would wait for ever
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": "CRITICAL"}
    with LocalCluster(n_workers=workers, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        client.wait_for_workers(1)
        yield client


def _in_flight(client: Any, jobs: Sequence[Job], watch: Watch) -> Iterator[tuple[Job, Result]]:
    """Keep one job with each worker, those that join later too, until all are done."""
    from distributed import as_completed

    waiting = iter(jobs)
    by_key: dict[str, Job] = {}
    running = as_completed()

    def hand_out() -> None:
        for job in itertools.islice(waiting, max(1, sum(client.nthreads().values())) - len(by_key)):
            future = client.submit(_grade_and_tell, job, pure=False)
            by_key[future.key] = job
            watch.began(job.fingerprint)
            running.add(future)

    watch.places = lambda: _places(client, dict(by_key), watch.verbose)
    hand_out()
    for future in running:
        job = by_key.pop(future.key)
        hand_out()
        error = future.exception()
        yield job, error if error is not None else future.result()


def _places(client: Any, by_key: dict[str, Job], with_stacks: bool) -> dict[str, Place]:
    """Which worker has which job, by fingerprint, as the scheduler says.

    Raises:
        TimeoutError: it does not answer.
    """

    def ask(what: str, **about: Any) -> Any:
        return client.sync(getattr(client.scheduler, what), callback_timeout=_PATIENCE, **about)

    workers, places = ask("identity")["workers"], {}
    for address, keys in ask("processing").items():
        silent = time.time() - workers[address]["last_seen"]
        name = f"worker {workers[address]['name']} ({address}, last heard of {silent:.0f} s ago)"
        for key in by_key.keys() & keys:
            try:
                frames = ask("call_stack", keys=[key]) if with_stacks else {}
                stack = "\n".join(frames.get(address, {}).get(key, []))
            except TimeoutError:
                stack = "it does not answer"
            places[by_key[key].fingerprint] = Place(name, stack)
    return places


def _grade_and_tell(job: Job) -> Result:
    from distributed import get_worker
    from distributed.utils import sync

    worker = get_worker()

    def tell(verdict: Verdict) -> None:
        """Returns when the scheduler has it: a message still on its way would die with this process."""
        event = [job.fingerprint, json.dumps(verdict.as_data())]
        with suppress(OSError):  # no scheduler: then the result itself must wait, too
            sync(worker.loop, worker.scheduler.log_event, topic=_TOPIC, msg=event)

    with _no_longer_than(job.limits.notebook_seconds + job.limits.overtime):
        try:
            return grade_submission(job, tell)
        except Unsettled as shown:  # returned, since dask cuts what an exception carries
            return shown


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """End this process after so many seconds, even where it no longer runs Python; once at a time in a process."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _earned(client: Any, job: Job) -> dict[str, Verdict]:
    """The verdicts that workers reported for a job before they died, by exercise."""
    reports = [
        json.loads(text) for _, (fingerprint, text) in client.get_events(_TOPIC) if fingerprint == job.fingerprint
    ]
    return {data["exercise"]: Verdict(**{**data, "status": Status(data["status"])}) for data in reports}
