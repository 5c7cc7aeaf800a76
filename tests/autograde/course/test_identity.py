"""Whose numbers a submission is marked by: every spelling of a name is the same, a slip costs nothing, cheating too."""

import json
import random
import unicodedata

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient

from autograde.answers.names import SIGNED_IN, clean, normal
from autograde.answers.sheet import full_name
from autograde.cli import main
from autograde.course.course import Course
from autograde.course.grading import grade
from autograde.course.identity import Person, cells_of, is_student, marked_as, signed_in
from autograde.course.release import release
from autograde.course.simulate import TEMPERAMENTS, answer
from autograde.learner import student
from autograde.learner.student import sign_in
from tests.autograde.conftest import TOY

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Zoë Müller") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    "spelling", ["ZOË MÜLLER", "  zoë   müller ", "zoë\u00a0müller", "zoë müller\u200b", DECOMPOSED]
)
def test_every_spelling_of_a_name_is_the_same_student(spelling):
    assert full_name("vit", spelling) == full_name("vit", COMPOSED)


@given(st.text())
def test_a_normal_form_is_its_own_normal_form(name):
    assert normal(normal(name)) == normal(name) == normal(clean(name))


@pytest.mark.parametrize(
    "name", ["ada[1]", "ada+b", "-ada", "=ada", "@ada", "o'neill", "lovelace, ada", "Zoë Müller", "ada lovelace"]
)
def test_an_odd_name_is_a_student(name):
    assert is_student(name)


def notebook(source="", output=None):
    outputs = [{"output_type": "display_data", "metadata": {SIGNED_IN: output}}] if output is not None else []
    return [{"cell_type": "code", "source": source, "outputs": outputs}]


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (notebook('from autograde import ask, sign_in\n\nsign_in("ada")  # your student id'), "ada"),
        (notebook(["from autograde import sign_in\n", "sign_in( 'ada' )"]), "ada"),
        (notebook('from autograde import sign_in; sign_in(student="ada")'), "ada"),
        (notebook('import autograde\nautograde.sign_in("O\'Neill")'), "O'Neill"),
        (notebook('sign_in("...")'), ""),
        (notebook('# sign_in("bob")'), ""),
        (notebook('sign_in("typed")', "the-hub"), "the-hub"),
        (notebook('sign_in("bob")') + notebook('sign_in("ada")'), "ada"),
        ([*notebook('sign_in("ada")', 5), None, {"cell_type": "code", "outputs": [None], "source": 3}], "ada"),
        (notebook('sign_in("ada\ud800")'), "ada?"),
        (notebook('sign_in("' + "a" * 1000 + '")'), ""),
    ],
)
def test_the_notebook_carries_the_name(cells, name):
    assert signed_in(cells) == name


def test_a_saved_notebook_carries_the_name_of_the_hub(course, monkeypatch):
    """Run as a hub runs it, written to a file, and read again."""
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    release(course, [TOY], variants=True)
    nb = course.template(TOY)
    folder = {"metadata": {"path": str(course.released / TOY)}}
    NotebookClient(nb, allow_errors=True, timeout=60, resources=folder).execute()
    assert signed_in(cells_of(nbformat.writes(nb).encode())) == "ada"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"cells": 5}', b"[" * 100_000, b"\xff\xfe"])
def test_an_unreadable_notebook_is_nobodys(damage):
    assert signed_in(cells_of(damage)) == ""


def test_a_typed_name_that_the_hub_overrules_is_named(monkeypatch, capsys):
    monkeypatch.setattr(student, "_signed_in", "")
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    sign_in("bob")
    assert "Signed in as ada" in (said := capsys.readouterr().out) and "'bob' is not used" in said
    sign_in("Ada ")
    assert "not used" not in capsys.readouterr().out


ADA, BOB = Person("al123", "Ada", "Lovelace", "ada@example.org"), Person("bo456", "Bob", "Ross")


@pytest.mark.parametrize(
    ("claim", "claims", "marked", "said"),
    [
        ("al123", {}, "al123", ""),
        ("AL123 ", {}, "al123", ""),
        ("", {}, "al123", ""),
        ("my own name", {}, "my own name", "marked with the numbers of that name"),
        ("Lovelace, Ada", {"bo456": "ada lovelace"}, "Lovelace, Ada", "marked with the numbers of that name"),
        ("ada@example.org", {}, "ada@example.org", "marked with the numbers of that name"),
        ("bo456", {}, "al123", "somebody else"),
        ("BO456", {}, "al123", "somebody else"),
        ("Bob Ross", {}, "al123", "somebody else"),
        ("shared", {"al123": "shared", "bo456": "Shared"}, "shared", "marked with the numbers of that name"),
    ],
)
def test_whose_numbers(claim, claims, marked, said):
    found = marked_as(ADA, claim, [BOB], claims)
    assert normal(found.name) == normal(marked)
    assert said in found.remark and bool(said) == bool(found.remark)
    assert bool(found.doubt) == (claim == "shared" or said == "somebody else")


def test_a_name_that_would_act_on_a_page_is_shown_as_code():
    found = marked_as(ADA, "<script>`x`", [BOB], {})
    assert "`<script>'x'`" in found.remark


def hand_in(course: Course, folder: str, name: str) -> None:
    """Everything right, with the numbers of `name`, filed under `folder`."""
    key = course.key(TOY).of(full_name(course.id, name))
    nb, _ = answer(course.template(TOY), key, TEMPERAMENTS[0], random.Random(0))
    sign_in_cell = next(cell for cell in nb.cells if cell.id == "sign-in")
    sign_in_cell.source = sign_in_cell.source.replace("...", name.replace('"', r"\""))
    place = course.submitted / folder / TOY
    place.mkdir(parents=True)
    (place / f"{TOY}.ipynb").write_text(nbformat.writes(nb), encoding="utf-8")


def test_other_names_than_the_folders_cost_nothing_and_are_said(course, capsys):
    assert main(["release", "--variants", TOY]) == 0
    names = {"al123": "Ada Lovelace", "zoe": "Zoë", COMPOSED: DECOMPOSED, "-o'neill, [j] =@+": "  -O'NEILL, [J] =@+"}
    for folder, name in names.items():
        hand_in(course, folder, name)
    hand_in(course, "thief", "victim")
    hand_in(course, "victim", "victim")
    for colluder in ("one", "two"):
        hand_in(course, colluder, "Nobody")
    (course.submitted / "__MACOSX" / TOY).mkdir(parents=True)
    (course.submitted / ".git" / TOY).mkdir(parents=True)
    assert main(["grade"]) == 0
    results = {graded.student: graded for graded in grade(course, TOY, [])}
    assert set(results) == {*names, "thief", "victim", "one", "two"}
    lost = {name: graded.out_of - graded.points for name, graded in results.items() if graded.points < graded.out_of}
    assert list(lost) == ["thief"]
    assert "Ada Lovelace" in results["al123"].notes[0] and "somebody else" in results["thief"].notes[0]
    assert results["thief"].look == ["it is signed in as `victim`, who is victim"]
    assert "one signed in as `Nobody`, too" in results["two"].look[0] and results["two"].points == results["two"].out_of
    assert not results[COMPOSED].notes and not results["-o'neill, [j] =@+"].notes
    saved = json.loads((course.autograded / "al123" / TOY / f"{TOY}.ipynb").read_text())
    assert "Ada Lovelace" in "".join(saved["cells"][0]["source"])
    assert main(["feedback"]) == 0 and main(["report"]) == 0
    page = (course.feedback / "thief" / TOY / f"{TOY}.html").read_text(encoding="utf-8")
    assert "somebody else" in page
