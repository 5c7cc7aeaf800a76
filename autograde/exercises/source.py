"""The source of a key's function, for a notebook that has nothing of the key."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any


def source_of(function: Callable[..., Any], name: str) -> str:
    """The source of `function` without decorators, under another `name`."""
    text = textwrap.dedent(inspect.getsource(function))
    lines = text.splitlines()[_definition(text).lineno - 1 :]
    lines[0] = re.sub(r"^def \w+", f"def {name}", lines[0])
    return "\n".join(lines)


def split_at_docstring(source: str) -> tuple[list[str], list[str]]:
    """The lines of a function up to its docstring, which a learner starts from, and its body.

    Raises:
        ValueError: there is no docstring.
    """
    definition = _definition(source)
    if ast.get_docstring(definition) is None:
        raise ValueError("no docstring")
    end = definition.body[0].end_lineno or 1
    lines = source.splitlines()
    return lines[:end], lines[end:]


def standalone(function: Callable[..., Any], name: str) -> str:
    """The source of a key's function under another name, with all that it needs of the key: imports, and helpers.

    Helpers are defined inside the function, since a wrong function may call the reference, which would have the same
    name there.
    """
    imports, helpers = _needs(function)
    source = source_of(function, name)
    if helpers:
        definition = _definition(source)
        for helper in helpers:
            inside = _definition(textwrap.dedent(inspect.getsource(helper)))
            inside.decorator_list = []
            definition.body.insert(0, inside)
        source = ast.unparse(definition)
    return "\n".join([*sorted(imports), *[""] * 2 * bool(imports), source])


def _definition(source: str) -> ast.FunctionDef:
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition


def _needs(function: Callable[..., Any]) -> tuple[set[str], list[FunctionType]]:
    """The imports that a key's function relies on, and the key's other functions that it calls, directly or not."""
    imports: set[str] = set()
    assert isinstance(function, FunctionType)
    found = [function]
    for each in found:  # which grows meanwhile
        for word in sorted(_words(each) & each.__globals__.keys()):
            value = each.__globals__[word]
            if isinstance(value, ModuleType):
                imports.add(f"import {value.__name__}" + (f" as {word}" if word != value.__name__ else ""))
            elif isinstance(value, type):
                imports.add(f"from {value.__module__} import {value.__name__}")
            elif isinstance(value, FunctionType) and value.__globals__ is each.__globals__ and value not in found:
                found.append(value)
    return imports, found[1:]


def _words(function: FunctionType) -> set[str]:
    """All names in its source, annotations among them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
