"""Learners pack what they hand in, and the platform packs that again: `autograde collect` reads both."""

import io
import zipfile

import pytest

from autograde.cli import main
from autograde.course import archive
from tests.autograde.commands.test_collect import NB, filed, make_zip


def packed(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("Ada Lovelace_1234_assignsubmission_file_/work.zip", "Ada Lovelace"),
        ("lovelaceada_4711_98765_work.ZIP", "4711"),
        ("gradebook_MATH_Exercise 1_ada_attempt_2026-12-01-18-30-05_work.zip", "ada"),
        ("Exercise 1/Lovelace_Ada_ada.l_2345/20261201183005_work.zip", "ada.l"),
        ("ada/work.zip", "ada"),
    ],
)
def test_a_notebook_in_a_learners_own_zip_is_taken(course, capsys, name, student):
    make_zip(course.root / "in.zip", {name: packed(**{f"work/{NB}": "ada", "work/data.csv": "1", "__MACOSX/._x": ""})})
    assert main(["collect", "in.zip"]) == 0
    assert "out of work." in capsys.readouterr().out
    (files,) = [{n: text for n, text in found.items() if n != "timestamp.txt"} for found in filed(course).values()]
    assert files == {NB: "ada", "data.csv": "1"} and list(filed(course)) == [student]


@pytest.mark.parametrize("name", ["Ada_1_assignsubmission_file_/work.zip", "Ada/work.zip"])
def test_a_learner_does_not_say_in_a_zip_when_they_handed_in(course, name):
    stamp = "2000-01-01 00:00:00 UTC"
    work = packed(**{f"w/{NB}": "a", "w/timestamp.txt": stamp, "timestamp.txt": stamp})
    make_zip(course.root / "in.zip", {name: work})
    assert main(["collect", "in.zip"]) == 0
    assert filed(course) == {"Ada": {NB: "a"}}


def test_work_that_was_packed_before_the_last_submission_is_newer_all_the_same(course):
    """The notebook in it was saved on 1 January 1980, says the learner's ZIP; the platform has its own times."""
    make_zip(course.root / "in.zip", {f"A B_1_assignsubmission_file_/{NB}": "first"}, (2026, 12, 1, 12, 0, 0))
    old = io.BytesIO()
    with zipfile.ZipFile(old, "w") as made:
        made.writestr(zipfile.ZipInfo(NB), "second")
    again = {"A B_1_assignsubmission_file_/work.zip": old.getvalue()}
    make_zip(course.root / "again.zip", again, (2026, 12, 2, 12, 0, 0))
    assert main(["collect", "in.zip"]) == main(["collect", "again.zip"]) == 0
    assert filed(course) == {"A B": {NB: "second"}}


def test_a_zip_beside_a_notebook_stays_what_it_is(course):
    (course.root / "in" / "ada").mkdir(parents=True)
    (course.root / "in" / "ada" / NB).write_text("ada")
    (course.root / "in" / "ada" / "data.zip").write_bytes(packed(**{NB: "another"}))
    assert main(["collect", "in"]) == 0
    assert (course.submitted / "ada" / NB.removesuffix(".ipynb") / NB).read_text() == "ada"
    assert zipfile.is_zipfile(course.submitted / "ada" / NB.removesuffix(".ipynb") / "data.zip")


@pytest.mark.parametrize("bad", [b"no zip", packed(**{f"../{NB}": "out"}), packed(**{NB: "x" * 2000})])
def test_a_zip_that_cannot_be_trusted_is_asked_for_again(course, capsys, monkeypatch, bad):
    monkeypatch.setattr(archive, "CHECKED_FROM", 1000)
    make_zip(course.root / "in.zip", {"ada_4711_1_work.zip": bad, f"ben_4712_2_{NB}": "ben"})
    assert main(["collect", "in.zip"]) == 1
    assert "there is no notebook in it, but work.zip: ask for the .ipynb file" in capsys.readouterr().err
    assert list(filed(course)) == ["4712"]


def test_a_folder_of_zips_is_not_passed_over(course, capsys):
    (course.root / "in").mkdir()
    (course.root / "in" / "ada.zip").write_bytes(packed(**{NB: "ada"}))
    assert main(["collect", "in"]) == 1
    assert "ada.zip belongs to no learner and was not taken" in capsys.readouterr().err
