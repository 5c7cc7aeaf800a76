"""Every statement and item that the book was asked to cover has its cell: seed_coverage.toml leads to real ones."""

import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("seed_coverage.toml").read_text(encoding="utf-8")
CELLS = {
    path.stem: {cell.id for cell in nbformat.read(path, as_version=4).cells}
    for folder in ("solutions", "chapters")
    for path in sorted(ROOT.glob(f"{folder}/*/*.ipynb"))
}  # of what learners open; solutions/ and chapters/ have the same cells


def problems(table: str) -> list[str]:
    """What is wrong with a table; a duplicated id is refused by TOML itself."""
    found = []
    for name, row in tomllib.loads(table).items():
        if not row.get("says") or not row.get("at") or row.get("right") == "":
            found.append(f"{name}: says nothing, or leads nowhere")
        for target in row.get("at", ()):
            chapter, _, cell = target.partition("#")
            if cell not in CELLS.get(chapter, ()):
                found.append(f"{name}: {target} is no cell")
    return found


def test_every_row_leads_to_a_cell() -> None:
    assert problems(TABLE) == []


def test_the_table_is_whole() -> None:
    rows = tomllib.loads(TABLE)
    assert len({row["says"] for row in rows.values()}) == len(rows) >= 70
    assert sum("right" in row for row in rows.values()) >= 8  # the slips
    chapters = {target.partition("#")[0] for row in rows.values() for target in row["at"]}
    assert {chapter[:2] for chapter in chapters} == {f"{number:02}" for number in range(10)}


@pytest.mark.parametrize(
    "row",
    [
        'a = { says = "x", at = ["01-patch-grid#no-such-cell"] }',
        'a = { says = "x", at = ["01-no-such-chapter#title"] }',
        'a = { says = "x", at = ["01-patch-grid"] }',
        'a = { says = "x", at = [""] }',
        'a = { says = "x", at = [] }',
        'a = { says = "x" }',
        'a = { says = "", at = ["01-patch-grid#title"] }',
    ],
)
def test_a_row_that_leads_nowhere_is_found(row: str) -> None:
    assert len(problems(row)) >= 1


def test_an_id_that_stands_twice_is_refused() -> None:
    row = 'a = { says = "x", at = ["01-patch-grid#title"] }\n'
    assert problems(row) == []
    with pytest.raises(tomllib.TOMLDecodeError):
        problems(row + row)
