"""What a cell is, by nbgrader's rules: ours say the same as nbgrader's own."""

import itertools

import pytest
from nbformat.v4 import new_code_cell
from nbgrader import utils

from autograde.engine import cells

FLAGS = [
    dict(zip(("grade", "solution", "locked"), flags, strict=True)) for flags in itertools.product([0, 1], repeat=3)
]


@pytest.mark.parametrize("metadata", [{}, {"nbgrader": {}}, *({"nbgrader": flags} for flags in FLAGS)])
def test_a_cell_is_what_nbgrader_says_it_is(metadata):
    cell = new_code_cell(metadata=metadata)
    for name in ("is_grade", "is_solution", "is_locked"):
        assert getattr(cells, name)(cell) == bool(getattr(utils, name)(cell))
