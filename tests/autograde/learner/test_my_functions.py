"""A learner's functions from the notebooks next door: which are theirs, and what is said of the others."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from autograde.answers.sheet import FILE_NAME
from autograde.authoring.key import Key
from autograde.authoring.sheet import make_sheet
from autograde.exercises import Code
from autograde.learner.my_functions import Pieces, collect, module_source


def double(number):
    return 2 * number


def triple(number):
    return 3 * number


STAND_INS = SimpleNamespace(double=double, triple=triple)


def cell(source: str, *tags: str) -> nbformat.NotebookNode:
    made = nbformat.v4.new_code_cell(source)
    made.metadata.tags = list(tags)
    return made


def chapter(folder: Path, *cells: nbformat.NotebookNode) -> None:
    """A chapter with the exercises `double` and `triple`, and a notebook of these cells."""
    folder.mkdir()
    exercises = {
        made.__name__: Code(
            made.__name__, title="T", prompt="P", reference=made, examples=[(1,), (4,)], checks={"hidden": [(7,)]}
        )
        for made in (double, triple)
    }
    (folder / FILE_NAME).write_text(make_sheet(Key(folder.name, exercises, "")))
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), folder / f"{folder.name}.ipynb")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The folder of chapter 2, whose notebook collects."""
    folder = tmp_path / "02-here"
    chapter(folder)
    monkeypatch.chdir(folder)
    return folder


def collected(here: Path, *sources: str | nbformat.NotebookNode) -> Pieces:
    """What is collected where chapter 1 has these cells."""
    cells = [cell(source) if isinstance(source, str) else source for source in sources]
    chapter(here.parent / "01-before", *cells)
    return collect(STAND_INS, {"01-before": ["double"]})


OWN = "def double(number):\n    return number + number"


def test_a_function_that_passes_its_examples_is_the_learners_own(here):
    pieces = collected(here, OWN)
    assert pieces.double(21) == 42
    assert pieces.double is not double
    assert repr(pieces) == "1 of 1 functions are yours.\ndouble (01-before): yours."


@pytest.mark.parametrize(
    "sources",
    [
        ("import math", "def double(number):\n    return math.prod([number, 2])"),
        ("FACTOR = 2", "def double(number):\n    return FACTOR * number"),
        ("def helper(number):\n    return 2 * number", "def double(number):\n    return helper(number)"),
        ("import functools", "@functools.cache\ndef double(number):\n    return 2 * number"),
        ("double = ...", OWN),
        (OWN, "print(double(3))\n1 / 0"),
        (OWN, "%matplotlib inline\nstart = 1"),
        (OWN, "def half_written(:"),
        (OWN, "covered = OWN\ncovered[0] = 0"),
        ("FACTOR, OTHER = 2, 3", "def double(number):\n    return FACTOR * number"),
    ],
    ids=[
        *("import", "constant", "helper", "decorator", "an earlier try", "trying it out", "magic", "syntax elsewhere"),
        *("a part of something", "two constants"),
    ],
)
def test_it_brings_what_it_needs_and_leaves_the_rest(here, sources, capsys):
    assert not collected(here, *sources).found["double"].problem
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1", "not written yet, or its cell has a mistake in its syntax"),
        ("def double(number):\n    return ...  # your answer in place of the dots", "not written yet"),
        ("def double(number):\n    return number * number", "an example goes wrong, its value is off"),
        ("def double(number):\n    return nunber", "an example goes wrong, it raises NameError"),
        ("def double(number, by=TWO):\n    return by * number", "the chapter's lines stop with NameError: name 'TWO'"),
        ("double = 2", "an example goes wrong, it raises TypeError"),
    ],
)
def test_where_it_is_not_right_the_stand_in_takes_its_place_and_it_says_why(here, source, problem):
    pieces = collected(here, source)
    assert pieces.double is double
    assert f"double (01-before): {problem}" in repr(pieces)
    assert repr(pieces).startswith("0 of 1 functions are yours.") and repr(pieces).endswith("The book's own stands in.")


def test_cells_that_only_illustrate_are_left_out(here):
    pieces = collected(here, OWN, cell("def double(number):\n    return 0", "illustration"))
    assert pieces.double(1) == 2


def test_chapters_do_not_get_into_each_others_way(here):
    chapter(here.parent / "01-before", cell("def helper(n):\n    return 2 * n\n\ndef double(n):\n    return helper(n)"))
    chapter(here.parent / "01-other", cell("def helper(n):\n    return 3 * n\n\ndef triple(n):\n    return helper(n)"))
    pieces = collect(STAND_INS, {"01-before": ["double"], "01-other": ["triple"]})
    assert (pieces.double(5), pieces.triple(5)) == (10, 15)
    assert repr(pieces).startswith("2 of 2 functions are yours.")


def test_functions_of_this_notebook_are_tried_too(here):
    pieces = collect(STAND_INS, {}, triple=lambda n: n + n + n, double=lambda n: ...)
    assert pieces.triple(2) == 6 and pieces.double is double
    assert "triple (02-here): yours." in repr(pieces)


def test_a_chapter_that_is_not_there_is_no_error(here):
    assert "its notebook is not in the folder next door" in repr(collect(STAND_INS, {"01-before": ["double"]}))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": [{"cell_type": "code"}]}'])
def test_a_damaged_notebook_is_no_error(here, text):
    chapter(here.parent / "01-before")
    (here.parent / "01-before" / "01-before.ipynb").write_text(text)
    assert "its notebook is damaged" in repr(collect(STAND_INS, {"01-before": ["double"]}))


def test_without_its_sheet_a_function_cannot_be_tried(here):
    chapter(here.parent / "01-before", cell(OWN))
    (here.parent / "01-before" / FILE_NAME).unlink()
    assert "fetch the whole chapter folder" in repr(collect(STAND_INS, {"01-before": ["double"]}))


def test_a_name_that_no_exercise_asks_for(here):
    stand_ins = SimpleNamespace(half=lambda n: n / 2)
    assert "this chapter has no such exercise" in repr(collect(stand_ins, {}, half=lambda n: n / 2))


def test_only_what_was_collected_can_be_called(here):
    with pytest.raises(AttributeError, match="no function 'triple' was collected"):
        collected(here, OWN).triple(1)


def test_what_is_kept_of_a_notebook_is_a_module_that_one_can_read(tmp_path):
    path = tmp_path / "n.ipynb"
    cells = [cell("import math\nprint(1)"), cell("# why\ndef f():\n    return math.pi  # kept\n\nf()")]
    path.write_text(json.dumps(nbformat.v4.new_notebook(cells=cells)))
    assert module_source(path) == "import math\n\ndef f():\n    return math.pi  # kept\n"


def test_it_needs_no_torch():
    code = "import sys, autograde.learner.my_functions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
