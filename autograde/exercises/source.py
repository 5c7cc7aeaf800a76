"""The source of a key's function, for a notebook that has nothing of the key."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType
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
    """The source of a key's function under another name, with all that it needs of the key: imports, and definitions.

    What its signature needs comes before it. The rest is defined inside the function, since a wrong function may call
    the reference, which would have the same name there.
    """
    imports, needed = _needs(function)
    source = source_of(function, name)
    outside: list[str] = []
    if needed:
        definition = _definition(source)
        signature = {node.id for part in (definition.args, definition.returns) if part for node in _names(part)}
        before: list[ast.stmt] = []
        for each in reversed(needed):
            if _binds(each) & signature:
                before.insert(0, each)
                signature |= _read_by(each)
        definition.body[:0] = [each for each in needed if each not in before]
        outside = [ast.unparse(each) for each in before if _binds(each) != {function.__name__}]
        source = ast.unparse(definition)
    head = [*sorted(imports), *outside]
    return "\n".join([*head, *[""] * 2 * bool(head), source])


def _definition(source: str) -> ast.FunctionDef:
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition


def _needs(function: Callable[..., Any]) -> tuple[set[str], list[ast.stmt]]:
    """The imports that a key's function relies on, and the key's own definitions, directly or not, in their order."""
    assert isinstance(function, FunctionType)
    module = inspect.getmodule(function)
    key = ast.parse(inspect.getsource(module)).body if module else []
    mine = _definition(textwrap.dedent(inspect.getsource(function)))
    for each in (mine, *key):
        if isinstance(each, ast.FunctionDef):
            each.decorator_list = []  # they declare exercises
    imports: set[str] = set()
    found: set[int] = set()
    words = _read_by(mine)
    while words:
        word = words.pop()
        imports |= {line for each in key if (line := _import_of(word, each))}
        own = {number for number, each in enumerate(key) if word in _binds(each)} - found
        words |= {name for number in own for name in _read_by(key[number])}
        found |= own
    return imports, [key[number] for number in sorted(found)]


def _import_of(word: str, statement: ast.stmt) -> str:
    """What is left of an import statement if it is to bring `word` alone; empty where it does not bring it."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            if (alias.asname or alias.name.partition(".")[0]) == word:
                alone = copy.copy(statement)
                alone.names = [alias]
                return ast.unparse(alone)
    return ""


def _binds(statement: ast.stmt) -> set[str]:
    """The names that a statement of the key's module defines; an import brings a name, and defines none."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {node.id for target in targets for node in _names(target)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _read_by(statement: ast.stmt) -> set[str]:
    """The names that a statement takes from around it: those of a function's own variables are not."""
    names = list(_names(statement))
    own: set[str] = set()
    if isinstance(statement, ast.FunctionDef):
        own = {node.arg for node in ast.walk(statement) if isinstance(node, ast.arg)}
        own |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - own


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    """All names in a piece of source, annotations among them."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))
