"""Run a chapter's notebook, and store outputs that are the same on every run."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from autograde.authoring.files import read_notebook, write_whole
from autograde.errors import AutogradeError

WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS = 300  # a cell that takes longer hangs: on an idle machine none of the book takes 30


def store_outputs(folder: Path) -> None:
    """Execute the instructor notebook in `folder` and store what its cells show.

    Raises:
        AutogradeError: a cell fails, takes too long or ends the kernel, or there is no notebook that can be read.
    """
    path = folder / f"{folder.name}.ipynb"
    notebook = read_notebook(path)
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the tests; more wait for one another on a busy machine
    where = {"metadata": {"path": str(folder)}}
    ran: list[NotebookNode] = []
    client = NotebookClient(notebook, timeout=CELL_SECONDS, coalesce_streams=True, resources=where)
    client.on_cell_execute = lambda cell, cell_index: ran.append(cell)
    try:
        client.execute()
    except (CellControlSignal, DeadKernelError) as error:
        what = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else str(error)
        at = f"cell {ran[-1].get('id', len(ran))}: " if ran else ""
        raise AutogradeError(
            f"{folder.name}/{path.name} did not run to its end, and keeps the outputs that it had: "
            f"{at}{what.partition(chr(10))[0]:.300}"
        ) from None
    _drop_what_varies(notebook)
    write_whole(path, (nbformat.writes(notebook) + "\n").encode())


def _drop_what_varies(notebook: NotebookNode) -> None:
    """Drop what changes from run to run without meaning anything: timings, the Python version, widgets' models.

    Without its model a widget cannot be drawn; the picture that it carries beside it can. What carries none is a
    progress bar, which a slow machine may show and a fast one not. It goes where nbval does not look for it.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = [output for output in cell.outputs if not _is_progress_bar(output)]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
    notebook.metadata.get("language_info", {}).pop("version", None)


def _is_progress_bar(output: NotebookNode) -> bool:
    return set(output.get("data", {})) in ({WIDGET}, {WIDGET, "text/plain"})
