"""Attacks by code that runs in the notebook: on the marks, on the machine, on the grader."""

from tests.autograde.attacks.base import Attack, Attacks, answer, cell

ON_THE_MARKS: Attacks = {
    "strips assert from every cell": cell("""
import ast
class Strip(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
    def visit_Call(self, node): return ast.Constant(True) if getattr(node.func, "id", "") == "check" else node
get_ipython().ast_transformers.append(Strip())
"""),
    "an equality that is always true": answer("""
class Yes(int):
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = lambda *_: True
    __ne__ = lambda *_: False
    __hash__ = int.__hash__
    __sub__ = __rsub__ = __abs__ = lambda *_: 0
tokens = Yes(4)
"""),
    "a class that lies about itself": answer("""
class Chameleon:
    __class__ = property(lambda self: int)
    def __eq__(self, other): return True
    def __int__(self): return 4
    def __reduce__(self): return (print, ("taken",))
tokens = Chameleon()
"""),
    "an answer that changes when it is looked at": answer(
        """
import itertools
class Shifting(float):
    looks = itertools.count()
    def __float__(self): return float(next(self.looks))
    def __repr__(self): return "0.67"
share = Shifting(0.1)
""",
        to="share",
    ),
    "patched builtins": cell("""
import builtins
builtins.isinstance = builtins.issubclass = builtins.callable = builtins.all = builtins.any = lambda *_: True
builtins.abs = lambda x: 0
builtins.round = lambda *_: 1
"""),
    "patched torch": cell("""
import torch
torch.equal = torch.allclose = torch.Tensor.equal = torch.Tensor.allclose = lambda *_, **__: True
torch.Tensor.__eq__ = torch.Tensor.__ne__ = lambda *_: torch.tensor(True)
torch.Tensor.numpy = lambda self: __import__("numpy").zeros(self.shape)
"""),
    "patched numpy": cell("""
import numpy
numpy.array_equal = numpy.allclose = numpy.isclose = lambda *_, **__: True
numpy.lib.format.write_array = lambda file, *_, **__: file.write(b"right")
"""),
    "patched wire": cell(
        """
import autograde.wire, autograde.outcomes, autograde.compare
autograde.compare.difference = autograde.outcomes.difference = lambda *_: None
autograde.outcomes.outcome_difference = lambda *_: None
autograde.wire.pack = autograde.outcomes.pack = lambda *_: {"status": "right", "points": 99}
""",
        says="form that can be read",
    ),
    "a verdict of its own": cell(
        """
import autograde.verdict, autograde.outcomes
class Forged:
    def __init__(self, *_): pass
    def _repr_mimebundle_(self, **_):
        import json
        verdict = {"exercise": "tokens", "status": "right", "points": 99, "out_of": 99, "message": "", "slip": ""}
        return {autograde.outcomes.Parcel.mime: json.dumps(verdict | {"answer": verdict}), "text/plain": "99.0"}
    of_value = of_calls = classmethod(lambda cls, *_: cls())
Forged.mime = autograde.outcomes.Parcel.mime
autograde.outcomes.Parcel = Forged
""",
        says="form that can be read",
    ),
    "patched IPython": cell(
        """
shell = get_ipython()
shell.user_expressions = lambda expressions: {name: {"status": "ok", "data": {"text/plain": "9.0"}, "metadata": {}}
                                              for name in expressions}
shell.display_formatter.format = lambda *_, **__: ({"text/plain": "9.0"}, {"autograde": {"points": 9}})
""",
        says="prevents reading",
    ),
    "outputs that carry a verdict": cell("""
from IPython.display import display
verdict = {"exercise": "tokens", "status": "right", "points": 99.0, "out_of": 99.0, "message": "forged", "slip": ""}
for _ in range(5):
    display({"text/plain": "99.0"}, metadata={"autograde": verdict}, raw=True)
print("99.0")
99.0
"""),
    "outputs for other cells": cell("""
kernel = get_ipython().kernel
for kind in ("display_data", "update_display_data", "execute_result", "execute_reply", "stream"):
    for parent in (kernel.get_parent(), {}, {"header": {"msg_id": "autograde"}}):
        content = {"data": {"text/plain": "99.0"}, "metadata": {"autograde": {"points": 99}}, "execution_count": 1,
                   "transient": {"display_id": "tokens"}, "status": "ok", "user_expressions": {}, "name": "stdout",
                   "text": "99.0"}
        kernel.session.send(kernel.iopub_socket, kind, content, parent=parent)
"""),
    "the key, looked for in memory": cell(
        """
import gc
found = [thing for thing in gc.get_objects() if type(thing).__name__ in ("Numeric", "Key", "Slip", "Verdict")]
tokens_guess = found[0].answer if found else 4
""",
        before="tokens-prompt",
    ),
    "answers read from the caller's frames": answer(
        """
import sys
def rows(images, patch):
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and "value" in value:
                return value["value"]
        frame = frame.f_back
    return images
""",
        to="cut-rows",
    ),
    "a tensor that is equal to everything": answer(
        """
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True
    def __eq__(self, other): return True
    __array__ = lambda self, *_: __import__("numpy").ones(())
def rows(images, patch):
    return torch.zeros(1).as_subclass(Yes)
""",
        to="cut-rows",
    ),
    "a function that answers each call with an object": answer(
        """
def rows(images, patch):
    return type("Right", (), {"__eq__": lambda *_: True, "shape": images.shape, "dtype": images.dtype})()
""",
        to="cut-rows",
    ),
    "a class in place of a function": answer(
        """
class rows:
    def __new__(cls, *_): return cls
    def __init__(self, *_): pass
""",
        to="cut-rows",
    ),
    "a function that raises whatever could be wanted": answer(
        """
class Any(ValueError, TypeError, AssertionError, KeyError): pass
def rows(images, patch):
    raise Any("right")
""",
        to="cut-rows",
    ),
    "a function that leaves": answer("def rows(images, patch):\n    raise SystemExit(0)", to="cut-rows"),
    "a function that never returns": answer("def rows(images, patch):\n    while True: pass", to="cut-rows"),
    "a function that returns itself": answer("def rows(images, patch):\n    return rows", to="cut-rows"),
}


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
    "leaves in the middle": cell("import os; os._exit(0)", BEFORE, right=True, worth=2, says="ended the kernel"),
    "quits": cell("quit()", "end", right=True, worth=9),
    "crashes": cell("import ctypes; ctypes.string_at(0)", BEFORE, right=True, worth=2, says="ended the kernel"),
    "recurses without end": cell(
        """
import sys
sys.setrecursionlimit(10**9)
def down(): return down()
down()
""",
        BEFORE,
        right=True,
        worth=2,
        says="No answer arrived",
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
        worth=2,
        says="did not stop when asked",
    ),
    "sleeps": cell("import time; time.sleep(10**6)", BEFORE, right=True, worth=9),
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
    "closes every file": cell(
        "import os; os.closerange(0, 256)", BEFORE, right=True, worth=2, says="No answer arrived"
    ),
    "fork bomb": cell(
        """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
        BEFORE,
        right=True,
        worth=2,
        says="No answer arrived",
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
        worth=2,
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
    "a million lines": cell("for line in range(10**6): print(line)", BEFORE, right=True, worth=9),
    "a line without end": cell("print('x' * (300 * 2**20))", BEFORE, right=True, worth=9),
    "a hundred thousand displays": cell(
        """
from IPython.display import display
for number in range(100_000): display(number)
""",
        BEFORE,
        right=True,
        worth=9,
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
for folder, _, files in os.walk("/"):
    found += [os.path.join(folder, name) for name in files
              if name in ("key.py", "gradebook.db", "nbgrader_config.py", "canary.txt")
              or (name.endswith(".ipynb") and "site-packages" not in folder)]
assert not found, found
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
assert not [path for path in found if "autograde" in path or path.endswith((".db", ".ipynb", ".py"))], found
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
        worth=2,
        says="No answer arrived",
    ),
}
