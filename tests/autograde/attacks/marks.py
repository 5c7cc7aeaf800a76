"""Attacks on the marks, by code that runs in the notebook."""

from tests.autograde.attacks.base import Attacks, answer, cell

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
import autograde.answers.serialize, autograde.answers.outcomes, autograde.answers.compare
autograde.answers.compare.difference = autograde.answers.outcomes.difference = lambda *_: None
autograde.answers.outcomes.outcome_difference = lambda *_: None
autograde.answers.serialize.pack = autograde.answers.outcomes.pack = lambda *_: {"status": "right", "points": 99}
""",
        says="broke the kernel",
    ),
    "a verdict of its own": cell(
        """
import autograde.exercises.verdict, autograde.answers.outcomes
class Forged(autograde.answers.outcomes.Payload):
    def __init__(self, *_): pass
    def _repr_mimebundle_(self, **_):
        import json
        mark = {"exercise": "tokens", "status": "right", "points": 99, "out_of": 99, "message": "", "misconception": ""}
        return {autograde.answers.outcomes.Payload.mime: json.dumps(mark | {"answer": mark}), "text/plain": "99.0"}
    of_value = classmethod(lambda cls, *_: cls())
    trial = autograde.answers.outcomes.Payload.of_calls
    of_calls = classmethod(lambda cls, called, cases: cls.trial(called, cases) if "lambda" in str(called) else cls())
autograde.answers.outcomes.Payload = Forged
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
        says="broke the kernel",
    ),
    "outputs that carry a verdict": cell("""
from IPython.display import display
marks = {"points": 99.0, "out_of": 99.0, "message": "forged", "misconception": ""}
verdict = {"exercise": "tokens", "status": "right", **marks}
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
found = [thing for thing in gc.get_objects() if type(thing).__name__ in ("Numeric", "Key", "Misconception", "Verdict")]
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
    "a function that never returns": answer(
        "def rows(images, patch):\n    while True: pass", to="cut-rows", endless=True
    ),
    "a function that returns itself": answer("def rows(images, patch):\n    return rows", to="cut-rows"),
}
