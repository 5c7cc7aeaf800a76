"""Figures of the release run where a learner's cells need them, or changed them."""

import copy

import pytest

from autograde.engine.repair import repair
from tests.autograde.edited import (
    add_behind,
    cell_of,
    copy_of,
    own,
    that_run,
    written,
)

FIGURE = "def cut_up(x):\n    return x\n\nface = cut_up(photo)\nfigure = 1"


@pytest.fixture
def with_figures(template):
    """Two figures at the top, of which the second needs the first."""
    released = copy.deepcopy(template)
    drawn = [own("photo = 1", "first", tags=["illustration"]), own(FIGURE, "second", tags=["illustration"])]
    add_behind(
        released, "setup" if any(cell.id == "setup" for cell in released.cells) else released.cells[0].id, *drawn
    )
    return released


@pytest.mark.parametrize(
    ("answer", "first", "second"),
    [
        ("tokens = 16", False, False),
        ("tokens = cut_up(16)", True, True),
        ("def f():\n    return face\ntokens = f()", True, True),
        ("tokens = photo", True, False),
        ("photo = 16\ntokens = photo", False, False),
        ("tokens = eval('cut_up(16)')", True, True),
        ("%time tokens = cut_up(16)", True, True),
        ("figure = 16\ntokens = figure", False, False),
        ("if 0:\n    figure = 16\ntokens = figure", True, True),
        ("# cut_up\ntokens = 16", False, False),
        ("tokens = (16", False, False),
    ],
)
def test_an_untouched_figure_runs_where_its_names_are_needed(with_figures, answer, first, second):
    notebook = copy.deepcopy(with_figures)
    cell_of(notebook, "tokens-answer").source = answer
    code = that_run(repair(written(notebook), with_figures).notebook)
    assert ("photo = 1" in code, FIGURE in code) == (first, second)


def test_a_figure_that_the_learner_edited_or_copied_runs(with_figures):
    notebook = copy.deepcopy(with_figures)
    cell_of(notebook, "first").source += "\nhelper = 2"
    add_behind(notebook, "second", copy_of(notebook, "second", "mine = 3"))
    code = that_run(repair(written(notebook), with_figures).notebook)
    assert "photo = 1\nhelper = 2" in code and "mine = 3" in code and FIGURE not in code


def test_a_figure_below_a_function_that_uses_it_runs(with_figures):
    notebook = copy.deepcopy(with_figures)
    notebook.cells.insert(0, own("def late():\n    return face"))
    assert FIGURE in that_run(repair(written(notebook), with_figures).notebook)
