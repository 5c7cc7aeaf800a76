"""nbgrader's own kind of assignment: the problem set of its user guide made anew, and what learners hand in for it.

Hidden tests, partial credit, code and essays graded by hand, a task, two notebooks and a data file; no key.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PS1 = "ps1"
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"


def _cell(kind: str, name: str, source: str, **nbgrader: object) -> NotebookNode:
    cell = (new_code_cell if kind == "code" else new_markdown_cell)(source, id=name)
    roles = {"grade": False, "solution": False, "locked": False, "task": False} | nbgrader
    cell.metadata.nbgrader = {"schema_version": 3, "grade_id": name, **roles}
    return cell


def _answer(name: str, source: str) -> NotebookNode:
    return _cell("code", name, source, solution=True)


def _test(name: str, points: float, source: str) -> NotebookNode:
    return _cell("code", name, source, grade=True, locked=True, points=points)


def _by_hand(kind: str, name: str, points: float, source: str) -> NotebookNode:
    return _cell(kind, name, source, grade=True, solution=True, points=points)


PROBLEM1 = [
    _cell("markdown", "picture", "Squares, with a table of them in `squares.csv`.", locked=True),
    _answer("squares", "def squares(n):\n    ### BEGIN SOLUTION\n    if n < 1:\n        raise ValueError(n)\n"
            "    return [i ** 2 for i in range(1, n + 1)]\n    ### END SOLUTION"),
    _test("correct_squares", 1, "assert squares(1) == [1]\nassert squares(2) == [1, 4]\n"
          "### BEGIN HIDDEN TESTS\nassert squares(10)[-1] == 100\n### END HIDDEN TESTS"),
    _test("squares_invalid_input", 1, "try:\n    squares(0)\nexcept ValueError:\n    pass\nelse:\n"
          '    raise AssertionError("did not raise")'),
    _test("squares_in_the_file", 1, "from pathlib import Path\n"
          'assert squares(3) == [int(x) for x in Path("squares.csv").read_text().split(",")]'),
    _answer("sum_of_squares", "def sum_of_squares(n):\n    ### BEGIN SOLUTION\n    return sum(squares(n))\n"
            "    ### END SOLUTION"),
    _test("correct_sum", 3, "right = sum(sum_of_squares(n) == s for n, s in {1: 1, 2: 5, 10: 385}.items())\n"
          "float(right)"),
    _by_hand("markdown", "equation", 1, "YOUR ANSWER HERE\n\n### BEGIN MARK SCHEME\nA sum sign.\n### END MARK SCHEME"),
    _by_hand("code", "application", 2, "### BEGIN SOLUTION\ndef pyramidal(n):\n    return sum_of_squares(n)\n"
             "### END SOLUTION"),
    _cell("markdown", "project", "Verify a sum of your own.", task=True, locked=True, points=4),
]  # fmt: skip
PROBLEM2 = [
    _by_hand("markdown", "part-a", 1, "### BEGIN SOLUTION\nIt calls itself.\n### END SOLUTION"),
    _by_hand("markdown", "part-b", 2, "### BEGIN SOLUTION\nIt never stops.\n### END SOLUTION"),
    _test("nothing-to-run", 1, ""),
]
RIGHT = {
    "squares": "def squares(n):\n    if n < 1:\n        raise ValueError(n)\n    return [i**2 for i in range(1, n+1)]",
    "sum_of_squares": "def sum_of_squares(n):\n    return sum(squares(n))",
    "equation": r"$\sum_{i=1}^n i^2$",
    "application": "def pyramidal(n):\n    return sum_of_squares(n)",
    "part-a": "By *recursion*, see <b>above</b>.",
    "part-b": "It never ends.",
}
HANDED_IN: dict[str, dict[str, str]] = {
    "bitdiddle": RIGHT | {"sum_of_squares": "def sum_of_squares(n):\n    return 1 if n == 1 else 5"},  # 2 of 3
    "hacker": RIGHT,
    "visible-only": {"squares": "def squares(n):\n    return [1, 4, 9][:n]", "equation": "No idea."},
    "blank": {},
    "noisy": RIGHT | {"squares": RIGHT["squares"] + "\nimport sys; print('warning', file=sys.stderr)"},
    "slip": RIGHT | {"squares": "def squares(n)\n    return n"},
    "late": RIGHT,
    "one-notebook": RIGHT,
}


def write_source(folder: Path) -> None:
    """The assignment as its teacher keeps it."""
    folder.mkdir(parents=True)
    (folder / "squares.csv").write_text("1,4,9")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for name, cells in (("problem1", PROBLEM1), ("problem2", PROBLEM2)):
        notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, folder / f"{name}.ipynb")


def hand_in(released: Path, submitted: Path, answers: dict[str, dict[str, str]] = HANDED_IN) -> None:
    """Copies of the release with each learner's answers; `late` was handed in late, `one-notebook` lacks the other."""
    for student, given in answers.items():
        folder = submitted / student / PS1
        folder.mkdir(parents=True)
        (folder / "squares.csv").write_text("1,4,9")
        for path in released.glob("*.ipynb"):
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                name = cell.metadata.get("nbgrader", {}).get("grade_id")
                cell.source = given.get(name, cell.source)
            if student != "one-notebook" or path.stem == "problem1":
                nbformat.write(notebook, folder / path.name)
        if student == "late":
            (folder / "timestamp.txt").write_text("2030-01-02 03:04:05 UTC")
