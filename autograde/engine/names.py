"""Which names a cell defines, and which it needs from earlier ones. No code is run; in doubt, a name is needed."""

from __future__ import annotations

import ast
import re
import symtable
from dataclasses import dataclass, field
from functools import lru_cache

# Calls that reach names by their text, or hand the cell's text to somebody else
_BY_TEXT = {"eval", "exec", "globals", "locals", "vars", "getattr", "setattr", "get_ipython", "__import__", "__main__"}
_MAGIC = re.compile(r"^[ \t]*[%!?].*$|^.*\?[ \t]*$", re.MULTILINE)  # lines that are IPython's, not Python's
_ASSIGNED_MAGIC = re.compile(r"(?<==)[ \t]*[%!].*$", re.MULTILINE)  # `files = !ls`
# Statements that define what they define; a branch or a loop may not come to it
_CERTAIN: tuple[type[ast.stmt], ...] = (
    *(ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom, ast.With, ast.Expr, ast.Delete),
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
)


@dataclass(frozen=True)
class Names:
    """The names of one cell."""

    defined: frozenset[str] = field(default_factory=frozenset)  # or changed: `weights[0] = 1` is a change of `weights`
    needed: frozenset[str] = field(default_factory=frozenset)
    certain: frozenset[str] = field(default_factory=frozenset)  # those of `defined` that no branch can leave out
    imported: frozenset[str] = field(default_factory=frozenset)  # those of `defined` that an import alone brings
    all_said: bool = True  # whether its text says all that it defines: a star, a magic or `exec` may bring anything


@lru_cache(maxsize=4096)
def names_of(source: str) -> Names:
    """The names of a cell.

    >>> sorted(names_of("a = x = b + 1").defined), sorted(names_of("a = x = b + 1").needed)
    (['a', 'x'], ['b'])
    """
    try:
        return _of_python(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    try:
        found = _of_python(_MAGIC.sub("pass", _ASSIGNED_MAGIC.sub("None", source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = Names()  # it fails, or is another language's
    return Names(found.defined, found.needed | _words(source), found.certain, found.imported, all_said=False)


def typed_into_check(source: str, exercise: str) -> str:
    """The answer typed into a call of `check` in place of its variable; empty where there is none.

    >>> typed_into_check('check("patch-tokens", 14 * 14)', "patch-tokens")
    '14 * 14'
    """
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=name), answer]) if name == exercise:
                return "" if isinstance(answer, ast.Name) else ast.unparse(answer)
    return ""


def _of_python(source: str) -> Names:
    defined: set[str] = set()
    certain: set[str] = set()
    needed: set[str] = set()
    imported: set[str] = set()
    otherwise: set[str] = set()  # defined or changed by something else than an import
    later: set[str] = set()  # needed by functions when they are called, which may be after the cell's last line
    tree = ast.parse(source)
    for statement in tree.body:
        module = symtable.symtable(ast.unparse(_Generators().visit(statement)), "cell", "exec")
        inner = _scopes_in(module)
        own = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        for scope in inner:
            symbols = [symbol for symbol in scope.get_symbols() if symbol.is_global()]
            later |= {symbol.get_name() for symbol in symbols if symbol.is_referenced()}
            own |= {symbol.get_name() for symbol in symbols if symbol.is_declared_global() and symbol.is_assigned()}
        needed |= {symbol.get_name() for symbol in module.get_symbols() if symbol.is_referenced()} - certain
        needed |= _changed_in(statement) - certain
        defined |= own | _changed_in(statement)
        (imported if isinstance(statement, ast.Import | ast.ImportFrom) else otherwise).update(own)
        otherwise |= _changed_in(statement)
        if isinstance(statement, _CERTAIN):
            certain |= own
    needed |= later - certain
    by_text = bool(needed & _BY_TEXT)
    if by_text:
        needed |= _words(source)
    stars = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    brought, all_said = frozenset(imported - otherwise), not (by_text or stars)
    return Names(frozenset(defined), frozenset(needed), frozenset(certain), brought, all_said)


class _Generators(ast.NodeTransformer):
    """Every comprehension as a generator: from Python 3.12 on, only these have a scope of their own."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.AST:
        return self.generic_visit(ast.GeneratorExp(node.elt, node.generators))

    visit_SetComp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self.generic_visit(ast.GeneratorExp(ast.Tuple([node.key, node.value], ast.Load()), node.generators))


def _scopes_in(table: symtable.SymbolTable) -> list[symtable.SymbolTable]:
    return [scope for child in table.get_children() for scope in (child, *_scopes_in(child))]


def _changed_in(statement: ast.stmt) -> set[str]:
    """Names that a statement changes and does not create: an element or attribute is set, or it is `+=` or `del`."""
    changed = set()
    for node in ast.walk(statement):
        root: ast.AST = node.target if isinstance(node, ast.AugAssign) else node
        if isinstance(root, ast.Attribute | ast.Subscript | ast.Name) and not isinstance(root.ctx, ast.Load):
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name) and (root is not node or isinstance(root.ctx, ast.Del)):
                changed.add(root.id)
    return changed


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d]\w*", text))
