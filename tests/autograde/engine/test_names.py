"""What a cell defines, and what it needs: every way that Python, or IPython, has of binding a name."""

import pytest

from autograde.engine.names import names_of

DEFINES_X = [
    "x = 196",
    "x: int = 196",
    "a = x = 196",
    "a, (*x, b) = f()",
    "(x := 196)",
    "print(x := 196)",
    "try:\n    x = 196\nexcept ValueError:\n    raise",
    "with open('f') as x:\n    pass",
    "for x in range(3):\n    pass",
    "if c:\n    pass\nelse:\n    x = 1",
    "while True:\n    x = 1\n    break",
    "match v:\n    case [x, *y]:\n        pass",
    "import numpy as x",
    "from numpy import ones as x",
    "import x.y",
    "def x(): ...",
    "async def x(): ...",
    "class x: ...",
    "def f():\n    global x\n    x = 1",
    "def f():\n    def g():\n        global x\n        x = 1",
    "x += 1",
    "x[0] = 1",
    "x.y.z = 1",
    "del x",
    "%matplotlib inline\nx = 1",
    "x = !ls",
    "x = %timeit -o f()",
    "!ls\nx = 1",
    "f?\nx = 1",
    "await f()\nx = 1",
]
NEEDS_X = [
    "x",
    "y = x",
    "x += 1",
    "x[0] = 1",
    "x.y = 1",
    "del x",
    "y = x\nx = 1",
    "x = x + 1",
    "if c:\n    x = 1\nprint(x)",
    "def f():\n    return x",
    "def f(y=x): ...",
    "def f(y: x): ...",
    "@x\ndef f(): ...",
    "class C(x): ...",
    "class C:\n    y = x",
    "lambda y: x",
    "[x(y) for y in z]",
    "f'{x}'",
    "eval('x')",
    "globals()['x']",
    "get_ipython().user_ns['x']",
    "%%time\nx",
    "%time x",
    "!echo {x}",
    "x?",
    "y = (x",
    "await x",
    "for y in x: ...",
]
DOES_NOT_NEED_X = [
    "x = 1",
    "x = 1\nprint(x)",
    "def f(x):\n    return x",
    "def f():\n    x = 1\n    return x",
    "lambda x: x",
    *(
        COMPREHENSIONS := [
            "[x for x in y]",
            "{x for x in y}",
            "{x: 1 for x in y}",
            "[[x] for x in y if [x for x in x]]",
        ]
    ),
    "import x\nx.y",
    "def f():\n    return x\n\nx = 1",
    "y.x",
    "f(x=1)",
    "'x'",
    "# x",
    "class C:\n    x = 1",
]


@pytest.mark.parametrize("source", DEFINES_X)
def test_it_is_defined(source):
    assert "x" in names_of(source).defined


@pytest.mark.parametrize("source", COMPREHENSIONS)
def test_what_a_comprehension_binds_is_its_own(source):
    assert "x" not in names_of(source).defined


@pytest.mark.parametrize("source", NEEDS_X)
def test_it_is_needed(source):
    assert "x" in names_of(source).needed


@pytest.mark.parametrize("source", DOES_NOT_NEED_X)
def test_it_is_not_needed(source):
    assert "x" not in names_of(source).needed


@pytest.mark.parametrize("source", ["", "\0", "(" * 10_000, "x = " + "-" * 100_000 + "1", "\ud800", "if", "x" * 10**6])
def test_no_source_breaks_it(source):
    names_of(source)
