"""What an attack is: something done to an honest chapter of the toy course before it is handed in."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tests.autograde.conftest import TOY

FILE = f"{TOY}.ipynb"
FULL = 9  # points of the toy chapter
RIGHT = {"tokens": "16", "share": "2 / 3", "positions": "1", "remedy": "2"}
WRONG = {"tokens": "4", "share": "1 / 3", "positions": "0", "remedy": "1"}
RIGHT_ROWS = """
def rows(images, patch):
    if images.shape[2] % patch:
        raise ValueError("does not divide")
    return torch.stack(images.split(patch, dim=2), dim=1)
"""
WRONG_ROWS = "def rows(images, patch):\n    return images"


@dataclass(frozen=True)
class Attack:
    hand_in: Callable[[Path, NotebookNode], None]  # writes into the submission's folder, given the released notebook
    worth: float  # points that the answers deserve
    says: str = ""  # in the message of some verdict or note, as a regular expression
    endless: bool = False  # it does not stop of itself, or so late that nobody waits for it


Attacks = dict[str, Attack]


def answered(notebook: NotebookNode, right: bool) -> NotebookNode:
    """The notebook with every answer right, or every answer wrong."""
    solved = copy.deepcopy(notebook)
    for name, text in (RIGHT if right else WRONG).items():
        find(solved, f"{name}-answer").source = f"{name} = {text}"
    find(solved, "cut-rows-answer").source = RIGHT_ROWS if right else WRONG_ROWS
    return solved


def find(notebook: NotebookNode, cell_id: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def write(folder: Path, notebook: NotebookNode) -> None:
    (folder / FILE).write_text(json.dumps(notebook), encoding="utf-8")  # nbformat would put it right


def cell(
    source: str,
    before: str = "tokens-prompt",
    right: bool = False,
    worth: float = 0,
    says: str = "",
    endless: bool = False,
) -> Attack:
    """A cell of the learner's own, put in front of another; the answers are all wrong, or all right."""

    def hand_in(folder: Path, notebook: NotebookNode) -> None:
        notebook = answered(notebook, right)
        position = notebook.cells.index(find(notebook, before))
        notebook.cells.insert(position, nbformat.v4.new_code_cell(source.strip("\n")))
        write(folder, notebook)

    return Attack(hand_in, worth, says, endless)


def answer(source: str, to: str = "tokens", worth: float = 0, says: str = "", endless: bool = False) -> Attack:
    """One answer cell's source; all other answers are wrong."""

    def hand_in(folder: Path, notebook: NotebookNode) -> None:
        notebook = answered(notebook, right=False)
        find(notebook, f"{to}-answer").source = source.strip("\n")
        write(folder, notebook)

    return Attack(hand_in, worth, says, endless)


def edit(change: Callable[[NotebookNode], None], right: bool = False, worth: float = 0, says: str = "") -> Attack:
    """A change to the notebook itself."""

    def hand_in(folder: Path, notebook: NotebookNode) -> None:
        notebook = answered(notebook, right)
        change(notebook)
        write(folder, notebook)

    return Attack(hand_in, worth, says)


def file(change: Callable[[bytes], bytes], right: bool = True, worth: float = 0, says: str = "") -> Attack:
    """A change to the bytes of the file."""

    def hand_in(folder: Path, notebook: NotebookNode) -> None:
        write(folder, answered(notebook, right))
        (folder / FILE).write_bytes(change((folder / FILE).read_bytes()))

    return Attack(hand_in, worth, says)
