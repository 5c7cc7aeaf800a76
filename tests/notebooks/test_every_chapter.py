"""What holds for every chapter: its title counts its exercises, and every output is stored in solutions/, with words
for each picture; none in chapters/. Links lead somewhere, and what is cited is in the bibliography.

nbval (`make notebooks`) compares the stored outputs with a fresh run, but passes over cells that never ran.
"""

import ast
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbformat import NotebookNode

from autograde.answers.outcomes import rounded
from autograde.answers.sheet import find_reply, read_sheet
from autograde.authoring.key import load_key
from autograde.exercises import Code
from autograde.exercises.verdict import Status

ROOT = Path(__file__).parents[2]
SOLUTIONS = sorted(ROOT.glob("solutions/*/*.ipynb"))
GRADED = [path for path in SOLUTIONS if (path.parent / "key.py").exists()]
CHAPTERS = sorted(ROOT.glob("chapters/*/*.ipynb"))
REFERENCE = ROOT / "solutions" / "10-reference" / "10-reference.ipynb"
CITATION = re.compile(r"([A-Z][\w'-]+)(?: et al\.| (?:&|and) ([A-Z][\w'-]+)),? \(?((?:19|20)\d\d)\b")
ALONE = re.compile(r"\[([A-Z][\w'-]+)(), ((?:19|20)\d\d)\]")  # a single author, in a link
PICTURES = {
    "00-flow-at-a-glance": 4,
    "01-patch-grid": 12,
    "02-patch-embedding": 9,
    "03-cls-and-positions": 7,
    "04-encoder": 10,
    "05-classifier-head": 8,
    "06-cost-and-memory": 5,
    "07-train-finetune-infer": 9,
    "08-backbones": 8,
    "09-debugging-clinic": 6,
}  # at least so many stand in each chapter of the book; a chapter of your own needs no entry


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_code_cell_of_a_solution_ran_from_top_to_bottom(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), f"run all cells of {path.name} in a fresh kernel and save it"


@pytest.mark.parametrize("path", GRADED, ids=lambda path: path.stem)
def test_the_title_counts_exercises_minutes_and_points(path: Path) -> None:
    """Weave refuses a wrong count. Here: that a chapter of the book which gives points has one."""
    exercises = load_key(path.parent).exercises.values()
    minutes, points = sum(e.minutes for e in exercises), sum(e.points for e in exercises)
    claim = f"{len(exercises)} exercises take {minutes} of these minutes and give {points:g} points"
    if points and path.stem in PICTURES:
        assert claim in nbformat.read(path, as_version=4).cells[0].source


@pytest.mark.parametrize("path", GRADED, ids=lambda path: path.stem)
def test_a_right_function_earns_its_reason(path: Path) -> None:
    """Where values are written for a digest in another way, sheets have to be made anew (`_FORMAT`)."""
    for name, entry in read_sheet(path.parent)["exercises"].items():
        for one in entry.get("variants", [entry]):
            if "expected" in one and "replies" in one:
                reply = find_reply(one, rounded(one["expected"]))
                assert reply and reply[0], f"{name}: weave it again"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_picture_can_be_read_aloud(path: Path) -> None:
    pictures = [
        (cell.id, output.metadata.get(kind, {}))
        for cell in code_cells(path)
        for output in cell.outputs
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]
    assert len(pictures) >= PICTURES.get(path.stem, 0)
    for name, metadata in pictures:
        assert len(metadata.get("alt", "")) > 40, name


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_shows_no_output(path: Path) -> None:
    for cell in code_cells(path):
        assert (cell.execution_count, cell.outputs) == (None, []), cell.source


def test_every_chapter_has_its_solution() -> None:
    assert [path.name for path in CHAPTERS] == [path.name for path in SOLUTIONS] != []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_no_chapter_chooses_a_device(path: Path) -> None:
    """What is made without one lies on the best device there is, and pictures follow their model."""
    calls = [
        ast.unparse(call)
        for cell in code_cells(path)
        for call in ast.walk(ast.parse(cell.source))
        if isinstance(call, ast.Call)
    ]
    assert [call for call in calls if re.search(r"device='(cpu|cuda)'|\.cuda\(", call)] == []


@pytest.mark.parametrize("path", [*SOLUTIONS, *CHAPTERS], ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_link_leads_to_a_file_and_to_a_heading_there(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", markdown(path))
    broken = []
    for link in links:
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_no_heading_stands_twice(path: Path) -> None:
    """A link could not tell the two apart."""
    found = Counter(anchors(path))
    assert [anchor for anchor, count in found.items() if count > 1] == []


def test_every_chapter_links_to_the_next() -> None:
    """Up to the reference, which nobody reads through."""
    for path, following in pairwise(path for path in SOLUTIONS if path < REFERENCE):
        assert f"(../{following.parent.name}/{following.name}" in markdown(path), path.stem


def test_every_paper_cited_is_in_the_bibliography() -> None:
    """By the surnames and the year, wherever a chapter, a key or a docstring cites it."""
    entries = [line for line in markdown(REFERENCE).splitlines() if re.match(r"- .*\(\d{4}\)\. \[", line)]
    sources = [*ROOT.glob("solutions/*/key.py"), *ROOT.glob("vitlib/**/*.py")]
    texts = [markdown(path) for path in SOLUTIONS] + [path.read_text(encoding="utf-8") for path in sources]
    cited = {match for text in texts for kind in (CITATION, ALONE) for match in kind.findall(text)}
    missing = [
        names
        for *names, year in cited
        if not any(year in entry and all(f"{name}," in entry for name in names if name) for entry in entries)
    ]
    assert (missing, len(cited) > 40) == ([], True)
    assert entries == sorted(entries, key=str.casefold)


def markdown(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(path: Path) -> list[str]:
    """As JupyterLab makes them: a heading's words with hyphens for spaces."""
    if path.suffix != ".ipynb":
        return []
    text = re.sub(r"^(```|~~~).*?^\1", "", markdown(path), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    return [re.sub(r"[*`]", "", heading).replace(" ", "-") for heading in headings]


FRACTIONS = {
    "02-patch-embedding": ("embed", "conv-weight", "reconstruct"),
    "03-cls-and-positions": ("prepend-cls", "add-positions", "sincos-positions"),
    "08-backbones": ("window-partition", "merge-patches", "tokens-to-map"),
    "09-debugging-clinic": ("to-tokens", "rollout"),
    "11-exam": ("masked-weights",),
}


@pytest.mark.parametrize(("chapter", "name"), [(chapter, name) for chapter in FRACTIONS for name in FRACTIONS[chapter]])
def test_a_function_that_rounds_its_numbers_gets_no_tick_and_no_mark(chapter: str, name: str) -> None:
    exercise = load_key(ROOT / "solutions" / chapter)[name]
    assert isinstance(exercise, Code)

    def rounds(*arguments: Any) -> torch.Tensor:
        result: torch.Tensor = exercise.reference(*arguments)
        return result.round()

    assert not exercise.passes_examples(rounds)
    assert exercise.mark({"outcomes": exercise.run(rounds)}).status is not Status.RIGHT


SIGNED = [(chapter, name) for chapter in ("02-patch-embedding", "03-cls-and-positions") for name in FRACTIONS[chapter]]


@pytest.mark.parametrize("unsigned", [torch.abs, torch.relu], ids=lambda function: function.__name__)
@pytest.mark.parametrize(("chapter", "name"), SIGNED)
def test_a_function_that_loses_signs_gets_no_tick_and_no_mark(chapter: str, name: str, unsigned: Any) -> None:
    exercise = load_key(ROOT / "solutions" / chapter)[name]
    assert isinstance(exercise, Code)

    def loses_signs(*arguments: Any) -> torch.Tensor:
        result: torch.Tensor = unsigned(exercise.reference(*arguments))
        return result

    assert not exercise.passes_examples(loses_signs)
    assert exercise.mark({"outcomes": exercise.run(loses_signs)}).status is not Status.RIGHT


@pytest.mark.parametrize(("chapter", "name"), [(chapter, name) for chapter in FRACTIONS for name in FRACTIONS[chapter]])
def test_a_function_that_fills_zeros_gets_its_tick_and_its_mark(chapter: str, name: str) -> None:
    """`torch.zeros(…)` holds floats, and so does what stands in a model: examples of whole numbers would refuse it."""
    exercise = load_key(ROOT / "solutions" / chapter)[name]
    assert isinstance(exercise, Code)

    def fills(*arguments: Any) -> torch.Tensor:
        result = exercise.reference(*arguments)
        return torch.zeros(result.shape).copy_(result)

    assert exercise.passes_examples(fills)
    assert exercise.mark({"outcomes": exercise.run(fills)}).status is Status.RIGHT
