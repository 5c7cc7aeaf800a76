"""Begin early what takes seconds: local workers are forked from a process that has imported what they need."""

from multiprocessing import forkserver


def warm_up() -> None:
    """Start that process, unless it runs, and do not wait for it. It ends with this one."""
    forkserver.set_forkserver_preload(["autograde.engine.local_worker"])
    forkserver.ensure_running()
