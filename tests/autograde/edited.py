"""A released notebook as learners edit it, and what became of it."""

import copy

import nbformat


def written(notebook) -> bytes:
    return nbformat.writes(notebook).encode()


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def answered(template):
    notebook = copy.deepcopy(template)
    cell_of(notebook, "tokens-answer").source = "tokens = 16"
    return notebook


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def own(source, name=None, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata, **({"id": name} if name else {}))


def copy_of(notebook, name, source, new="copied"):
    """A cell copied with its metadata, as an editor does, and then edited."""
    copied = copy.deepcopy(cell_of(notebook, name))
    copied.id, copied.source = new, source
    return copied


def add_behind(notebook, name, *cells):
    place = notebook.cells.index(cell_of(notebook, name)) + 1
    notebook.cells[place:place] = cells


def without(notebook, *names):
    notebook.cells = [cell for cell in notebook.cells if cell.id not in names]


def that_run(notebook):
    """What runs, in its order: the learner's code and the release's."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and "skip" not in about(cell)]


def about(cell):
    return cell.metadata.get("autograde", {})


def stubs(template):
    released = copy.deepcopy(template)
    for cell in released.cells:
        if cell.id.endswith("-answer") and cell.id != "cut-rows-answer":
            cell.source = f"{cell.id.removesuffix('-answer')} = ..."
    return released
