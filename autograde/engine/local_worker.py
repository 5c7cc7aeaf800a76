"""What this machine's workers are forked from: a process that has imported what grading needs, once for all of them.

`warm_up` has multiprocessing's fork server import this module; dask forks each worker from it. They share one sandbox,
too.
"""

import signal
from contextlib import suppress

from autograde.sandbox.forkserver import fork_server
from autograde.sandbox.view import SandboxError

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's; it ends the workers, and they print nothing

with suppress(SandboxError):  # a worker says so, if its job needs the sandbox
    fork_server().start()  # imports what notebooks import, while this process imports what grading does
    import autograde.engine.lean  # isort: skip  # first: what follows imports jsonschema
    import distributed  # noqa: F401
    import torch  # noqa: F401  # keys do

    import autograde.engine.workers  # noqa: F401

    fork_server().connect().close()  # waits until it is ready
