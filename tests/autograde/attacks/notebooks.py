"""Attacks by the notebook's own form: its cells, metadata, outputs, and what a page shows of it."""

import copy

import nbformat
from nbformat import NotebookNode

from tests.autograde.attacks.base import RIGHT, Attacks, cell, edit, find

SCRIPT = "<script>document.title = 'attacked'</script><img src=x onerror=\"document.title = 'attacked'\">"


def graded(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]


def forge_outputs(notebook: NotebookNode) -> None:
    verdict = {
        "exercise": "tokens",
        "status": "right",
        "points": 9.0,
        "out_of": 9.0,
        "message": "",
        "misconception": "",
    }
    for target in notebook.cells:
        if target.cell_type == "code":
            target.outputs = [
                nbformat.v4.new_output("display_data", {"text/plain": ""}, metadata={"autograde": verdict}),
                nbformat.v4.new_output("execute_result", {"text/plain": "9.0"}, execution_count=1),
            ]
            target.execution_count = 1


def raise_points(notebook: NotebookNode) -> None:
    for target in graded(notebook):
        target.metadata.nbgrader.points = 1000


def rewrite_checks(notebook: NotebookNode) -> None:
    for target in graded(notebook):
        target.source = "9.0"


def unlock(notebook: NotebookNode) -> None:
    for target in notebook.cells:
        if "nbgrader" in target.metadata:
            target.metadata.nbgrader.update(locked=False, solution=True, grade=False)


def relock(notebook: NotebookNode) -> None:
    for target in notebook.cells:
        if target.metadata.get("nbgrader", {}).get("solution"):
            target.metadata.nbgrader.update(locked=True, grade=True, solution=False, points=9)


def add_bonus(notebook: NotebookNode) -> None:
    bonus = nbformat.v4.new_code_cell("9.0", id="bonus")
    bonus.metadata.nbgrader = {**graded(notebook)[0].metadata.nbgrader, "grade_id": "bonus", "points": 100}
    notebook.cells.append(bonus)


def copy_checks(notebook: NotebookNode) -> None:
    notebook.cells += copy.deepcopy(graded(notebook)) * 3


def copy_answers(notebook: NotebookNode) -> None:
    """The right answers stand behind the checks, where nobody is asked for them any more."""
    for name, text in RIGHT.items():
        late = copy.deepcopy(find(notebook, f"{name}-answer"))
        late.source = f"{name} = {text}"
        late.metadata.nbgrader.grade_id = f"{name}-late"
        late.id = f"{name}-late"
        notebook.cells.append(late)


def swap_names(notebook: NotebookNode) -> None:
    for target in notebook.cells:
        if "nbgrader" in target.metadata:
            target.metadata.nbgrader.grade_id = target.metadata.nbgrader.grade_id[::-1]


def borrow_ids(notebook: NotebookNode) -> None:
    for name in ("tokens", "repaired", "no-sandbox", "learner-1", "tokens-answer"):
        notebook.cells.insert(0, nbformat.v4.new_code_cell("x = 1", id=name))


def delete_checks(notebook: NotebookNode) -> None:
    notebook.cells = [cell for cell in notebook.cells if cell not in graded(notebook)]


def reverse(notebook: NotebookNode) -> None:
    notebook.cells.reverse()


def odd_metadata(notebook: NotebookNode) -> None:
    for target, value in zip(
        notebook.cells, ["grade", 7, None, [1], {"grade": "yes"}, {"grade_id": {}}] * 9, strict=False
    ):
        target.metadata["nbgrader"] = value
        target.metadata["tags"] = "illustration"


def odd_kernel(notebook: NotebookNode) -> None:
    notebook.metadata.kernelspec = {"name": "../../evil", "language": "bash", "display_name": SCRIPT}
    notebook.metadata.language_info = {"name": SCRIPT, "file_extension": "/../x"}
    notebook.metadata.autograde = {"graded": "0" * 64, "notes": ["full marks"], "failure": ""}


def widget_state(notebook: NotebookNode) -> None:
    model = {"model_name": "HTMLModel", "model_module": "@jupyter-widgets/controls", "state": {"value": SCRIPT}}
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"a": model, "</script>": 7}}}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "</script>" + SCRIPT}}
    for target in notebook.cells:
        if target.cell_type == "code":
            target.outputs = [nbformat.v4.new_output("display_data", view)]


def tag_answers(notebook: NotebookNode) -> None:
    for target in notebook.cells:
        target.metadata.tags = ["illustration", "raises-exception", "skip-execution", SCRIPT]


def scripts_in_text(notebook: NotebookNode) -> None:
    for text in (
        SCRIPT,
        "[click](javascript:alert(1))",
        f'<svg onload="alert(1)">{SCRIPT}</svg>',
        "<iframe srcdoc=\"<script>parent.document.title = 'attacked'</script>\"></iframe>",
        "$$\\href{javascript:document.title='attacked'}{x}$$",
        f"```html\n</code>{SCRIPT}\n```",
        f'![x](" onerror="document.title=\'attacked\'")\n\n</div></body>{SCRIPT}',
        "<form action='https://example.org'><input name=q></form><base href='https://example.org/'>",
        "<style>body { display: none }</style><meta http-equiv=refresh content='0; url=https://example.org/'>",
    ):
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(text))
    notebook.cells.insert(1, nbformat.v4.new_raw_cell(SCRIPT, metadata={"raw_mimetype": "text/html"}))
    find(notebook, "title").source = SCRIPT


def odd_tags(notebook: NotebookNode) -> None:
    """On cells of the learner's own, whose tags are kept."""
    for tags in (["\ud800", SCRIPT, '"><img src=x onerror=alert(1)>'], [7, None, []], {"illustration": 1}, "x" * 10**6):
        notebook.cells.insert(1, nbformat.v4.new_code_cell("tokens = 0"))
        notebook.cells[1].metadata.tags = tags


def talkative(notebook: NotebookNode) -> None:
    """Each shows about as much as one cell may."""
    notebook.cells[1:1] = [nbformat.v4.new_code_cell("print('x' * 10**6)") for _ in range(40)]


def thousands_of_cells(notebook: NotebookNode) -> None:
    notebook.cells += [nbformat.v4.new_markdown_cell("x") for _ in range(5_000)]


FORM: Attacks = {
    "forged outputs": edit(forge_outputs),
    "forged outputs in a blank notebook": edit(lambda notebook: (forge_outputs(notebook), blank(notebook))),
    "more points": edit(raise_points),
    "other checks": edit(rewrite_checks),
    "unlocked cells": edit(unlock),
    "locked answers": edit(relock),
    "a graded cell of its own": edit(add_bonus),
    "copied checks": edit(copy_checks),
    "right answers behind the checks": edit(copy_answers),
    "exchanged names": edit(swap_names),
    "borrowed ids": edit(borrow_ids),
    "deleted checks": edit(delete_checks),
    "deleted checks, right answers": edit(delete_checks, right=True, worth=9),
    "reversed cells": edit(reverse, right=True, worth=9),
    "metadata of the wrong kind": edit(odd_metadata, right=True, worth=9),
    "another kernel": edit(odd_kernel),
    "hostile widget state": edit(widget_state),
    "answers tagged as illustrations": edit(tag_answers, right=True, worth=9),
    "scripts in tags": edit(odd_tags, right=True, worth=9),
    "a megabyte of output in each of forty cells": edit(talkative, right=True, worth=9),
    "thousands of cells": edit(thousands_of_cells, right=True, worth=9, says="first 2,000"),
    "scripts in text": edit(scripts_in_text, right=True, worth=9),
    "scripts in outputs": cell(
        f"""
from IPython.display import HTML, SVG, Javascript, Latex, Markdown, display
script = {SCRIPT!r}
for kind in (HTML, Javascript, Latex, Markdown): display(kind(script))
for kind in ("text/html", "image/svg+xml", "application/javascript", "text/latex", "text/markdown", "image/png",
             "application/vnd.jupyter.widget-view+json", "application/json", "application/pdf", "text/plain"):
    display({{kind: script}}, raw=True)
print(script)
print(script, file=__import__("sys").stderr)
raise ValueError(script + "\\x1b]8;;javascript:alert(1)\\x07x\\x1b[38;5;1m")
""",
        right=True,
        worth=9,
    ),
    "scripts in answers": edit(lambda notebook: scripted_answers(notebook)),
}


def blank(notebook: NotebookNode) -> None:
    for name in RIGHT:
        find(notebook, f"{name}-answer").source = f"{name} = ..."


def scripted_answers(notebook: NotebookNode) -> None:
    for name in RIGHT:
        find(notebook, f"{name}-answer").source = f"# {SCRIPT}\n{name} = {SCRIPT!r}"
    find(notebook, "cut-rows-answer").source = f"""
def rows(images, patch):
    raise type({SCRIPT!r}, (Exception,), {{}})({SCRIPT!r})
"""
