"""`autograde collect` through the command line: the platforms' names, and archives that are not to be trusted."""

import os
import unicodedata
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from autograde.cli import main
from tests.autograde.conftest import TOY

NB = f"{TOY}.ipynb"


CASES = {  # names in the archive -> files by student
    "Moodle": (
        {
            f"Ada Lovelace_1234_assignsubmission_file_/{NB}": "ada",
            "Ada Lovelace_1234_assignsubmission_file_/data/x.csv": "1",
            f"O'Neill, Jim [2]_1235_assignsubmission_file_/work/{NB}": "jim",
            "O'Neill, Jim [2]_1235_assignsubmission_file_/work/helper.py": "h",
            f"Zoë Müller_1236_assignsubmission_file_{NB}": "zoe",
            f"__MACOSX/Ada Lovelace_1234_assignsubmission_file_/._{NB}": "",
        },
        {
            "Ada Lovelace": {NB: "ada", "data/x.csv": "1"},
            "O'Neill, Jim [2]": {NB: "jim", "helper.py": "h"},
            "Zoë Müller": {NB: "zoe"},
        },
    ),
    "Canvas": (
        {
            f"lovelaceada_4711_98765_{NB}": "ada",
            f"müllerzoë_LATE_4712_98766_{TOY}-1.ipynb": "second",
            f"müllerzoë_LATE_4712_98760_{NB}": "first",
            "müllerzoë_LATE_4712_98767_my_data.csv": "1",
            "o'neilljim_4713_98768_Untitled12.ipynb": "jim",
        },
        {
            "4711": {NB: "ada"},
            "4712": {NB: "second", "my_data.csv": "1", f"{TOY}.ipynb": "second"},
            "4713": {NB: "jim"},
        },
    ),
    "Blackboard": (
        {
            f"gradebook_MATH-1_Exercise 1_ada_attempt_2026-12-01-18-30-05_{NB}": "ada",
            "gradebook_MATH-1_Exercise 1_ada_attempt_2026-12-01-18-30-05.txt": "receipt",
            f"gradebook_MATH-1_Exercise 1_zoe_m_attempt_2026-12-01-18-30-05_{NB}": "early",
            f"gradebook_MATH-1_Exercise 1_zoe_m_attempt_2026-12-02-18-30-05_{NB}": "zoe",
        },
        {
            "ada": {NB: "ada", "timestamp.txt": "2026-12-01 18:30:05 UTC\n"},
            "zoe_m": {NB: "zoe", "timestamp.txt": "2026-12-02 18:30:05 UTC\n"},
        },
    ),
    "ILIAS": (
        {
            f"Exercise 1/Lovelace_Ada_ada.l_2345/20261201183005_{NB}": "ada",
            "Exercise 1/Lovelace_Ada_ada.l_2345/20261201183005_data.csv": "1",
            f"Exercise 1/von der Müller_Zoë Eva_zoe_m_2346/20261201183006_{NB}": "zoe",
        },
        {
            "ada.l": {NB: "ada", "data.csv": "1", "timestamp.txt": "2026-12-01 18:30:05 UTC\n"},
            "zoe_m": {NB: "zoe", "timestamp.txt": "2026-12-01 18:30:06 UTC\n"},
        },
    ),
    "folders of learners": (
        {
            f"class/ada/{TOY}/{NB}": "ada",
            f"class/ada/{TOY}/timestamp.txt": "2026-12-01 18:30:05 UTC",
            f"class/-zoë =@+/{NB}": "zoe",
            f"class/.hidden/{NB}": "no",
        },
        {"ada": {NB: "ada", "timestamp.txt": "2026-12-01 18:30:05 UTC"}, "-zoë =@+": {NB: "zoe"}},
    ),
}


@pytest.fixture(autouse=True)
def in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")


def make_zip(path: Path, names: dict[str, str], when=(2026, 12, 5, 12, 0, 0)) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in names.items():
            made.writestr(zipfile.ZipInfo(name, when), text, zipfile.ZIP_DEFLATED)


def filed(course) -> dict[str, dict[str, str]]:
    folders = sorted(course.submitted.glob(f"*/{TOY}")) if course.submitted.exists() else []
    return {
        folder.parent.name: {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
        for folder in folders
    }


@pytest.mark.parametrize("platform", CASES)
@pytest.mark.parametrize("unpacked", [False, True], ids=["zip", "folder"])
def test_each_platforms_names(course, capsys, platform, unpacked):
    names, expected = CASES[platform]
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_student("zoe_m")
    make_zip(course.root / "in.zip", names)
    given = "in.zip"
    if unpacked:
        given = "in"
        with zipfile.ZipFile("in.zip") as made:
            made.extractall("in")
    assert main(["collect", given]) == 0
    said = capsys.readouterr().out
    assert filed(course) == expected
    assert f"named as {platform}, {len(expected)} learners" in said
    assert all(student in said for student in expected)
    if platform == "Canvas":
        assert "marked as late there" in said and "Untitled12.ipynb was taken for it" in said
    before = filed(course)
    assert main(["collect", given]) == 0
    assert filed(course) == before and "is there already" in capsys.readouterr().out


def test_what_was_collected_is_graded(course, capsys):
    text = (course.released / TOY / NB).read_text(encoding="utf-8")
    make_zip(course.root / "in.zip", {f"O'Neill, Jim [2]_1_assignsubmission_file_/{NB}": text})
    assert main(["collect", "in.zip"]) == 0
    assert main(["grade", "--jobs", "1"]) == 0
    assert "O'Neill, Jim [2]" in capsys.readouterr().out


def test_a_newer_submission_is_kept_and_an_older_one_goes_aside(course, capsys):
    def take(text, *when):
        make_zip(course.root / "in.zip", {f"ada_4711_1_{NB}": text}, when)
        assert main(["collect", "in.zip"]) == 0
        return capsys.readouterr().out

    take("first", 2026, 12, 1, 12, 0, 0)
    assert "was kept" in take("older", 2026, 11, 1, 12, 0, 0)
    assert filed(course) == {"4711": {NB: "first"}}
    assert "the one before is in gradebook/replaced/4711" in take("second", 2026, 12, 2, 12, 0, 0)
    assert filed(course) == {"4711": {NB: "second"}}
    (kept,) = (course.root / "gradebook" / "replaced").rglob(NB)
    assert kept.read_text() == "first"


def test_what_the_exchange_collected_later_is_kept(course, capsys):
    there = course.submitted / "ada" / TOY
    there.mkdir(parents=True)
    (there / NB).write_text("by the exchange")
    (there / "timestamp.txt").write_text("2026-12-06 12:00:00.000000 UTC")
    os.utime(there / NB, (0, 0))
    make_zip(course.root / "in.zip", {f"ada/{NB}": "older"})
    assert main(["collect", "in.zip"]) == 0
    assert "was kept" in capsys.readouterr().out and filed(course)["ada"][NB] == "by the exchange"


def test_a_roster_says_who_a_number_is_and_known_students_keep_their_folder(course, capsys):
    roster = "Student,ID,SIS User ID,SIS Login ID,Section\n"
    roster += '"Lovelace, Ada",4711,M1,ada.l,A\n"Müller, Zoë",4712,M2,zoe.m,A\n'
    (course.root / "roster.csv").write_text(roster, encoding="utf-8")
    (course.submitted / "M2" / "00-other").mkdir(parents=True)
    make_zip(course.root / "in.zip", {f"lovelaceada_4711_1_{NB}": "ada", f"müllerzoë_4712_2_{NB}": "zoe"})
    assert main(["collect", "in.zip", "--roster", "roster.csv"]) == 0
    assert filed(course) == {"ada.l": {NB: "ada"}, "M2": {NB: "zoe"}}


def test_two_of_the_same_name_are_told_apart_by_moodles_worksheet_only(course, capsys):
    names = {f"Ada Lovelace_{number}_assignsubmission_file_/{NB}": str(number) for number in (1, 2)}
    make_zip(course.root / "in.zip", names | {f"Bob Ross_3_assignsubmission_file_/{NB}": "bob"})
    assert main(["collect", "in.zip"]) == 1
    said = capsys.readouterr().err
    assert said.count("2 learners go by this name") == 2 and filed(course) == {"Bob Ross": {NB: "bob"}}
    rows = "Identifier,Full name,Email address\n"
    rows += "Participant 1,Ada Lovelace,a1@x\nParticipant 2,Ada Lovelace,a2@x\nParticipant 3,Bob Ross,b@x\n"
    (course.root / "roster.csv").write_text(rows)
    assert main(["collect", "in.zip", "--roster", "roster.csv"]) == 0
    assert filed(course) == {"Bob Ross": {NB: "bob"}, "Participant 1": {NB: "1"}, "Participant 2": {NB: "2"}}


def test_decomposed_accents_find_the_student_that_is_there(course):
    (course.submitted / "zoë" / "00-other").mkdir(parents=True)
    make_zip(course.root / "in.zip", {f"{unicodedata.normalize('NFD', 'Zoë')}/{NB}": "zoe"})
    assert main(["collect", "in.zip"]) == 0
    assert filed(course) == {"zoë": {NB: "zoe"}}


def test_what_is_not_taken_is_named(course, capsys):
    names = {f"ada_4711_1_{NB}": "ada", "bob_4712_2_answers.pdf": "%PDF", f"stray/{NB}": "whose?", "notes.txt": ""}
    make_zip(course.root / "in.zip", names)
    assert main(["collect", "in.zip"]) == 1
    said = capsys.readouterr().err
    assert "there is no notebook in it, but answers.pdf" in said
    assert f"stray/{NB} belongs to no learner" in said and "notes.txt belongs to no learner" in said


def test_a_chapter_that_nothing_names_is_asked_for(course, capsys):
    make_zip(course.root / "in.zip", {"ada_4711_1_Untitled.ipynb": "ada"})
    assert main(["collect", "in.zip"]) == 1
    assert "pass --chapter" in capsys.readouterr().err
    assert main(["collect", "in.zip", "--chapter", TOY]) == 0
    assert filed(course) == {"4711": {NB: "ada"}}
    assert main(["collect", "in.zip", "--chapter", "01-tyo"]) == 1
    assert "did you mean 01-toy" in capsys.readouterr().err


def test_a_learner_does_not_say_when_they_handed_in(course):
    make_zip(
        course.root / "in.zip",
        {f"A B_1_assignsubmission_file_/{NB}": "a", "A B_1_assignsubmission_file_/timestamp.txt": "2000-01-01"},
    )
    assert main(["collect", "in.zip"]) == 0
    assert filed(course) == {"A B": {NB: "a"}}


def test_a_clock_of_1980_is_no_reason_to_fail(course):
    make_zip(course.root / "in.zip", {f"ada_4711_1_{NB}": "ada"}, (1980, 0, 0, 0, 0, 0))
    assert main(["collect", "in.zip"]) == 0
    assert datetime.fromtimestamp((course.submitted / "4711" / TOY / NB).stat().st_mtime).year == 1980
