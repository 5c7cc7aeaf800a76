"""A released chapter to edit."""

import shutil

import nbformat
import pytest

from autograde.authoring.weave import weave
from tests.autograde.conftest import HERE, TOY


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The toy chapter, woven, with the answers of a release."""
    folder = tmp_path_factory.mktemp("toy") / TOY
    shutil.copytree(HERE / "course" / TOY, folder)
    weave(folder)
    notebook = nbformat.read(folder / f"{TOY}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = "def rows(images, patch):\n    return ..." if cell.id == "cut-rows-answer" else "x = ..."
    next(cell for cell in notebook.cells if cell.id == "tokens-answer").source = "tokens = ..."
    return notebook
