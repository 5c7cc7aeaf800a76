"""Attacks on the machine, by code that runs in the notebook."""

from tests.autograde.attacks.base import Attack, Attacks, cell


def calls(port: int) -> Attack:
    """Tries to reach a listener on this machine by every name that it may have."""
    return cell(
        f"""
import socket
for host in ("127.0.0.1", "localhost", "0.0.0.0", "::1", socket.gethostname()):
    try: socket.create_connection((host, {port}), 0.2).sendall(b"answers")
    except OSError: continue
    print("reached")
""",
        right=True,
        worth=9,
    )


BEFORE = "positions-prompt"  # the first two answers, 2 points, stand before it
ON_THE_MACHINE: Attacks = {
    "leaves in the middle": cell("import os; os._exit(0)", BEFORE, right=True, worth=9, says="ended the kernel"),
    "quits": cell("quit()", "end", right=True, worth=9),
    "crashes": cell("import ctypes; ctypes.string_at(0)", BEFORE, right=True, worth=9, says="ended the kernel"),
    "recurses without end": cell(
        """
import sys
sys.setrecursionlimit(10**9)
def down(): return down()
down()
""",
        BEFORE,
        right=True,
        worth=9,
        says="",
    ),
    "ignores signals and runs on": cell(
        """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
        BEFORE,
        right=True,
        worth=9,
        says="did not stop when asked",
        endless=True,
    ),
    "sleeps": cell("import time; time.sleep(10**6)", BEFORE, right=True, worth=9, endless=True),
    "stops itself": cell("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", BEFORE, right=True, worth=9),
    "waits for input": cell("input('your name? ')", BEFORE, right=True, worth=9),
    "kills everything it may": cell(
        """
import os, signal
for target in (-1, 0, os.getppid(), 2, 3, 4):
    try: os.kill(target, signal.SIGKILL)
    except OSError: pass
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "closes every file": cell("import os; os.closerange(0, 256)", BEFORE, right=True, worth=9, says="left out"),
    "fork bomb": cell(
        """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
        BEFORE,
        right=True,
        worth=9,
        says="left out|was stopped",  # whether the kernel hears the interrupt in time hangs on the machine
        endless=True,
    ),
    "thread bomb": cell(
        """
import threading, time
threads = []
for _ in range(10_000):
    try:
        threads.append(threading.Thread(target=time.sleep, args=(1000,), daemon=True))
        threads[-1].start()
    except RuntimeError: break
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "memory bomb": cell("hoard = []\nwhile True: hoard.append(bytearray(10**8))", BEFORE, right=True, worth=9),
    "memory bomb of many processes": cell(
        """
import os, time
for _ in range(4):
    if os.fork() == 0:
        hoard = b"x" * (300 * 2**20)
        time.sleep(1000)
time.sleep(1000)
""",
        BEFORE,
        right=True,
        worth=9,
        says="held more than",
    ),
    "fills the disk": cell(
        """
import itertools
for folder in (".", "/tmp", "/dev/shm", "/var/tmp", "/"):
    for number in itertools.count():
        try:
            with open(f"{folder}/filler-{number}", "wb") as file: file.write(bytes(50 * 2**20))
        except OSError: break
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "a million lines": cell("for line in range(10**6): print(line)", BEFORE, right=True, worth=9, endless=True),
    "a line without end": cell("print('x' * (300 * 2**20))", BEFORE, right=True, worth=9),
    "a hundred thousand displays": cell(
        """
from IPython.display import display
for number in range(100_000): display(number)
""",
        BEFORE,
        right=True,
        worth=9,
        endless=True,
    ),
    "processes that outlive it": cell(
        """
import subprocess
subprocess.Popen(["setsid", "-f", "sleep", "9753124"])
subprocess.Popen(["sleep", "9753124"], start_new_session=True)
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "threads that go on": cell(
        """
import threading
def chatter():
    while True:
        print("x" * 1000)
threading.Thread(target=chatter, daemon=True).start()
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "looks for the key and the neighbours": cell(
        """
import os
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if name not in ("site-packages", "dist-packages")]  # anyone may have those
    found += [os.path.join(folder, name) for name in files
              if name in ("gradebook.db", "nbgrader_config.py", "canary.txt") or name.endswith(".ipynb")
              or (name == "key.py" and "__init__.py" not in files)]  # a chapter's: autograde.key is no secret
print("secrets found:", found)
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "paths out of its folder": cell(
        """
import glob, os
found = [path for pattern in ("../*", "../../*", "../../../../*/*.db", "/proc/*/cwd/*", "~/*", "~root/*")
         for path in glob.glob(os.path.expanduser(pattern))]
found = [path for path in found if "autograde" in path or path.endswith((".db", ".ipynb", ".py"))]
print("secrets found:", found)
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "sets the machine's clock and name": cell(
        """
import socket, time
for action in (lambda: socket.sethostname("mine"), lambda: time.clock_settime(time.CLOCK_REALTIME, 0)):
    try: action()
    except OSError: continue
    raise AssertionError("allowed")
""",
        BEFORE,
        right=True,
        worth=9,
    ),
    "deletes what everything needs": cell(
        """
%reset -f
import builtins, sys
for name in list(sys.modules): sys.modules.pop(name) if name.startswith(("IPython", "autograde", "torch")) else None
for name in ("print", "open", "__import__", "repr"): delattr(builtins, name)
""",
        BEFORE,
        right=True,
        worth=9,
        says="left out",
        endless=True,
    ),
}

LOOKERS = ("looks for the key and the neighbours", "paths out of its folder")  # they print what they have found
