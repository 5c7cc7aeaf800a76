"""Before anything is released, and with nothing to do: every command says in a line what is missing, twice."""

import shutil

import pytest

from autograde.cli import main
from tests.autograde.conftest import TOY

COMMANDS = [
    (["due"], 0, "no due date"),
    (["due", TOY, "2026-12-01"], 1, f"run `autograde release {TOY}` first"),
    (["extend", "ada", TOY, "--days", "1"], 0, "1 day longer"),
    (["export"], 0, "nothing is graded yet"),
    (["export", "--to", "canvas", TOY], 0, "nothing is graded yet"),
    (["collect", "empty"], 0, "0 learners"),
    (["collect", "class"], 0, f"ada: {TOY}"),
    (["simulate", "1"], 1, f"run `autograde release {TOY}` first"),
]


@pytest.mark.parametrize(("arguments", "status", "said"), COMMANDS, ids=[" ".join(row[0]) for row in COMMANDS])
def test_a_fresh_clone(course, capsys, arguments, status, said):
    for folder in ("gradebook", "chapters"):
        shutil.rmtree(course.root / folder)
    (course.root / "empty").mkdir()
    (course.root / "class" / "ada").mkdir(parents=True)
    shutil.copy(course.solutions / TOY / f"{TOY}.ipynb", course.root / "class" / "ada")
    for _ in range(2):
        assert main(arguments) == status
        told = capsys.readouterr()
        assert said in told.out + told.err
        assert (told.err.count("\n") == 1) == bool(status)
