"""Cells that nbgrader's own rules grade: an ordinary assignment's tests, which run in the learner's process.

What runs in one process with a learner's code cannot be proof against it. The engine runs an assertion that has to
fail behind every test; and here, from outside, the learner's code is searched for the words that an attack on the
tests needs. Such words take no points: a teacher looks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

from autograde.engine.cells import error_output, is_grade, is_solution
from autograde.engine.session import Session
from autograde.engine.verdict_cell import read_verdict

_FALSE_ASSERTION = "assert 1 == 2, 'canary'"
LOOK = "look"  # where in a graded notebook's metadata it stands what a teacher should look at

# Honest lines that would sound like one: of PyTorch and pandas, and what nbconvert makes of `%matplotlib inline`
_HONEST = re.compile(r"""\.modules\(|get_ipython\(\)\.run_line_magic\((["'])matplotlib\1""")
_OPTION = re.compile(r"\.(backends|options|rcParams)\.")
_TELLING = {
    "ast_transformers",
    "input_transformers_cleanup",
    "input_transformers_post",
    "run_cell",
    "run_cell_async",
    "run_code",
    "run_ast_nodes",
    "get_ipython",
    "builtins",
    "__builtins__",
    "settrace",
    "setprofile",
    "_getframe",
    "currentframe",
    "get_objects",
    "modules",
    "ctypes",
    "__eq__",
    "__ne__",
    "__bool__",
    "__float__",
    "__class__",
    "__instancecheck__",
    "__array_function__",
    "__array_ufunc__",
    "AssertionError",
}


def is_test(cell: NotebookNode) -> bool:
    """Whether a cell holds tests: a graded code cell that is not an answer itself."""
    return bool(cell.cell_type == "code" and is_grade(cell) and not is_solution(cell))


def look_at(notebook: NotebookNode, reasons: list[str]) -> None:
    """Say why a teacher should look at a graded notebook; learners do not read it there."""
    if reasons:
        notebook.metadata.setdefault("autograde", NotebookNode()).setdefault(LOOK, []).extend(reasons)


def can_fail(session: Session, cell: NotebookNode, reply: Mapping[str, Any]) -> bool:
    """Make the outputs of a graded cell that has run show its error; whether tests can fail in this kernel at all.

    By nbgrader's rules a test without an error gets full marks. Where a test passed, an assertion that has to fail
    runs behind it: should it pass, too, the learner's code has changed what `assert` means, and the test fails.
    `reply` is the kernel's to the cell.

    Raises:
        KernelGone: the kernel ended, or its reply cannot be read.
    """
    failed = any(output.output_type == "error" for output in cell.outputs)
    if reply.get("status") != "ok" and not failed:
        cell.outputs.append(error_output(str(reply.get("ename"))[:100], str(reply.get("evalue"))[:1000]))
    elif not failed and not is_solution(cell):
        answer = session.ask(_FALSE_ASSERTION, {})
        if (answer.get("status"), answer.get("ename")) != ("error", "AssertionError"):
            cell.outputs = [error_output("Untrustworthy", "a false assertion passes in this notebook")]
            return False
    return True


def suspicions(notebook: NotebookNode, template: NotebookNode) -> list[str]:
    """What in a learner's own code could make tests pass that should not."""
    released = "\n".join(cell.source for cell in template.cells)
    sources = {cell.source for cell in template.cells}
    own = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source not in sources]
    words = {word for source in own for word in re.findall(r"[^\W\d]\w*", _HONEST.sub(" ", source))}
    told = [f"its code speaks of {word}" for word in sorted(words & _TELLING) if word not in released]
    modules = {name for source in [*own, *sources] for name in _imported(source)}
    changed = sorted({target for source in own for target in _assigned(source, modules)})
    return told + [f"its code replaces {target}" for target in changed]


def marked(cell: NotebookNode) -> tuple[float | None, str]:
    """The automatic score of a graded cell (None: by hand), and why a teacher should look at it.

    It is nbgrader's, except that a verdict may go beyond the cell's maximum: those are bonus points.
    """
    from nbgrader.utils import determine_grade

    if verdict := read_verdict(cell):
        return min(verdict["points"], verdict["out_of"]), ""
    name, points = cell.metadata.nbgrader.grade_id, float(cell.metadata.nbgrader.points)
    try:
        score, _ = determine_grade(cell)
    except (ValueError, KeyError) as error:
        return points, f"the test {name} ended in an odd result ({error})"
    results = [output.data.get("text/plain", "") for output in cell.get("outputs", []) if "data" in output]
    odd = [text for text in results if re.fullmatch(r"\s*(-\d.*|-?inf|nan)\s*", str(text))]
    return score, f"the test {name} ended in an odd result ({odd[0]})" if odd and is_test(cell) else ""


def _tree(source: str) -> ast.Module | None:
    lines = ("pass" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imported(source: str) -> set[str]:
    tree = _tree(source)
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)) if tree else ()
    return {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}


def _assigned(source: str, modules: set[str]) -> set[str]:
    """Attributes of imported modules and classes that a cell assigns, but for options."""
    tree = _tree(source)
    stored = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute)) if tree else ()
    targets = {ast.unparse(node) for node in stored if isinstance(node.ctx, ast.Store)}
    return {target for target in targets if target.split(".")[0] in modules and not _OPTION.search(target)}
