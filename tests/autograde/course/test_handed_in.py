"""What lies in a submission's folder is found, carried and named, and nothing outside it is."""

import json
import os
import unicodedata

import pytest

from autograde.answers.sheet import FILE_NAME
from autograde.course import handed_in
from autograde.course.handed_in import MAX_BESIDE, MAX_FILES, read_submission
from autograde.course.seal import Seal

CHAPTER = "01-toy"


def notebook(source):
    metadata = {"nbgrader": {"grade_id": "tokens-answer", "solution": True}}
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": source, "metadata": metadata}], "metadata": {}}
    ).encode()


RIGHT, OTHER = notebook("right"), notebook("another try")
BLANK = notebook("answer = ...")  # as released


@pytest.fixture
def place(tmp_path):
    """A submission's folder, and the released one."""
    folder = tmp_path / "submitted" / "anna" / CHAPTER
    (tmp_path / "released").mkdir()
    (tmp_path / "released" / f"{CHAPTER}.ipynb").write_bytes(BLANK)
    folder.mkdir(parents=True)
    return folder


def put(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(folder):
    root = folder.parents[2]
    return read_submission(folder, root / "submitted", CHAPTER, Seal(root / "released"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([f"{CHAPTER}.ipynb"], None),
        (["Untitled.ipynb"], "Graded is Untitled.ipynb"),
        ([f"{CHAPTER} (1).ipynb"], "Graded is 01-toy (1).ipynb"),
        ([f"{CHAPTER}/{CHAPTER}.ipynb"], f"Graded is {CHAPTER}/{CHAPTER}.ipynb"),
        (["a/b/c/mine.ipynb"], "Graded is a/b/c/mine.ipynb"),
        ([f"{CHAPTER}.IPYNB"], f"Graded is {CHAPTER}.IPYNB"),
        ([f"{CHAPTER}.ipynb.txt"], f"Graded is {CHAPTER}.ipynb.txt"),  # as browsers save what they show
        ([f"{CHAPTER}.ipynb.json", "answers.txt"], f"Graded is {CHAPTER}.ipynb.json"),
        ([f"{CHAPTER}.json"], f"Graded is {CHAPTER}.json"),
        ([f"{CHAPTER}.txt"], f"Graded is {CHAPTER}.txt"),
    ],
)
def test_a_renamed_or_nested_notebook_is_found_and_said(place, names, words):
    put(place, **{name: RIGHT for name in names})
    found = read(place)
    assert found.notebook == RIGHT and not found.missing
    assert bool(found.notes) == bool(words) and (not words or words in found.notes[0])


def test_accents_that_a_mac_takes_apart_make_no_other_name(tmp_path):
    folder, seal = tmp_path / "submitted" / "anna" / "hw", Seal(tmp_path / "released")
    for place, form in ((folder, "NFD"), (seal.folder, "NFC")):
        names = {unicodedata.normalize(form, f"{name}.ipynb"): RIGHT for name in ("Übung", "Maße")}
        place.mkdir(parents=True)
        put(place, **names)
    for name in seal.notebooks:
        found = read_submission(folder, tmp_path / "submitted", name, seal)
        assert (found.notebook, found.notes) == (RIGHT, [])


@pytest.mark.parametrize(
    ("right", "other"),
    [
        (f"{CHAPTER}.ipynb", "Untitled.ipynb"),
        (f"{CHAPTER}.ipynb", f"older/{CHAPTER}.ipynb"),
        (f"older/{CHAPTER}.ipynb", "scratch.ipynb"),
        (f"{CHAPTER}-Copy1.ipynb", "scratch.ipynb"),
    ],
)
def test_of_two_notebooks_the_chapters_is_graded_and_the_other_is_named(place, right, other):
    put(place, **{right: RIGHT, other: OTHER})
    found = read(place)
    assert found.notebook == RIGHT
    assert any(f"Not graded: {other}" in note for note in found.notes)


@pytest.mark.parametrize("broken", [b"", b"{", RIGHT[:-3], BLANK])
def test_a_notebook_that_cannot_be_read_or_is_as_released_gives_way_to_one_that_can(place, broken):
    put(place, **{f"{CHAPTER}.ipynb": broken, "saved.ipynb": RIGHT})
    found = read(place)
    assert found.notebook == RIGHT and "Graded is saved.ipynb" in found.notes[0]
    assert "Not graded: 01-toy.ipynb" in found.notes[1]


def test_what_is_there_instead_of_a_notebook_is_named(place):
    put(place, **{f"{CHAPTER}.zip": b"PK", "answers.py": b"x = 1"})
    assert read(place).missing.endswith("it holds no notebook, but 01-toy.zip, answers.py")


def test_the_notebook_is_found_among_very_many_files_and_notebooks(place, monkeypatch):
    monkeypatch.setattr(handed_in, "MAX_SEEN", 40)
    put(place, **{f"a-picture/{number}.png": b"" for number in range(100)})
    put(place, **{"mine.ipynb": RIGHT})
    assert read(place).notebook == RIGHT
    put(place, **{f"00-other-{number}.ipynb": OTHER for number in range(30)}, **{f"{CHAPTER}.ipynb": RIGHT})
    assert read(place).notebook == RIGHT


@pytest.mark.parametrize("debris", [".ipynb_checkpoints/x.ipynb", "__MACOSX/._x.ipynb", "._01-toy.ipynb"])
def test_debris_is_not_handed_in(place, debris):
    put(place, **{debris: OTHER})
    assert "no notebook" in read(place).missing
    put(place, **{f"{CHAPTER}.ipynb": RIGHT})
    found = read(place)
    assert (found.notebook, found.files, found.notes) == (RIGHT, (), [])


def test_files_beside_the_notebook_go_with_it(place):
    put(place, **{f"sub/{CHAPTER}.ipynb": RIGHT, "sub/helper.py": b"x = 1", "sub/data/n.csv": b"1", "above.txt": b"2"})
    found = read(place)
    assert found.files == (("data/n.csv", b"1"), ("helper.py", b"x = 1"))


def test_released_files_are_there_and_count(place):
    released = place.parents[2] / "released"
    put(released, **{"n.csv": b"1", "same.csv": b"2", FILE_NAME: b"{}"})
    put(place, **{f"{CHAPTER}.ipynb": RIGHT, "n.csv": b"9", "same.csv": b"2", FILE_NAME: b"{cheat}"})
    found = read(place)
    assert found.files == (("n.csv", b"1"), ("same.csv", b"2"))
    assert found.notes == ["The released n.csv counts; the copy that was handed in differs from it."]


def test_what_is_too_much_is_left_out_and_named(place):
    put(place, **{f"{CHAPTER}.ipynb": RIGHT, "a.txt": b"1"})
    with (place / "large.bin").open("wb") as file:
        file.truncate(MAX_BESIDE + 1)
    for number in range(MAX_FILES):
        (place / f"n{number:03d}").touch()
    found = read(place)
    assert len(found.files) == MAX_FILES
    assert "Left out: large.bin, n499" in found.notes[0]


def test_links_lead_nowhere(place):
    (place.parents[2] / "secret.txt").write_text("key")
    put(place, **{f"{CHAPTER}.ipynb": RIGHT})
    (place / "secret.txt").symlink_to("../../../secret.txt")
    (place / "all").symlink_to("/")
    assert read(place).files == ()
    (place / f"{CHAPTER}.ipynb").unlink()
    (place / f"{CHAPTER}.ipynb").symlink_to("../../../secret.txt")
    assert "01-toy.ipynb (a link)" in read(place).missing


def test_names_that_no_page_should_show_are_made_harmless(place):
    put(place, **{f"{CHAPTER}.ipynb": RIGHT, "<b>x.ipynb": OTHER})
    (place / os.fsdecode(b"r\xe9sum\xe9.txt")).write_text("x")
    found = read(place)
    assert found.files == ()
    assert not set("<>\\`'\"") & set(" ".join(found.notes)) and any("Left out: r?sum?.txt" in n for n in found.notes)
    json.dumps(found.notes).encode()
