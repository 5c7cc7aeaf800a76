"""A class full of hostile and broken submissions, graded once. Nobody gains, nobody loses, nothing gets out.

Each attack is a small edit of an honest notebook of the toy course: see tests/autograde/attacks.
"""

import csv
import json
import re
import shutil
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbgrader.server_extensions.formgrader.handlers import template_path
from traitlets.config import Config

from autograde.authoring.key import load_key
from autograde.cli import main
from autograde.course.grading import Graded, grade
from autograde.course.nbgrader import succeed
from autograde.engine.client import MAX_SHOWN_IN_ALL
from tests.autograde.attacks.base import FILE, FULL, RIGHT, answered, write
from tests.autograde.attacks.classroom import (
    ATTACKS,
    Attacked,
    Class,
    accepted,
    fingerprints,
    hand_in,
    student,
)
from tests.autograde.attacks.files import LINKS, STUDENTS, hand_in_links
from tests.autograde.attacks.machine import LOOKERS, calls
from tests.autograde.conftest import HERE, TOY
from tests.autograde.course.test_grading import gradebook_rows
from tests.autograde.sandboxed import running

KEY = load_key(HERE / "course" / TOY)


CALLER = "calls-the-listener"


HONEST = ("a-honest", "honest-1", "zz-honest")  # in front of the others, among them, behind them


# The first test waits for the whole class. One that hangs costs its own test: its worker gives it up, twice.
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def graded(released_course, tmp_path_factory) -> Iterator[Class]:
    course = Attacked(tmp_path_factory.mktemp("attacked") / "course")
    shutil.copytree(released_course, course.root)
    course.config.Limits.update(cell_seconds=60, notebook_seconds=120, overtime=60, memory=768)
    (course.root / "gradebook" / "canary.txt").write_text("nobody reads this")
    released = nbformat.read(course.released / TOY / FILE, as_version=4)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for name in HONEST:
            hand_in(course, name, lambda folder, notebook: write(folder, answered(notebook, right=True)), released)
        for name, attack in ATTACKS.items():
            hand_in(course, student(name), attack.hand_in, released)
        hand_in(course, CALLER, calls(listener.getsockname()[1]).hand_in, released)
        for name in STUDENTS:
            hand_in(course, name, lambda folder, notebook: write(folder, answered(notebook, right=True)), released)
        hand_in_links(course.submitted)
        around = sorted(path.name for path in course.root.iterdir())
        before = fingerprints(course)
        results = {result.student: result for result in grade(course, TOY, [], workers=2)}
        rows = {(who, cell): score for who, cell, score, _ in gradebook_rows(course)}
        yield Class(course, results, rows, before, around, accepted(listener))


def said(result: Graded) -> str:
    return "\n".join([*(verdict["message"] for verdict in result.verdicts), *result.notes, result.failure])


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_what_its_answers_are_worth_and_says_why(graded, name):
    result = graded.results[student(name)]
    assert result.points == ATTACKS[name].worth
    assert len(result.verdicts) == len(RIGHT) + 1
    assert re.search(ATTACKS[name].says, said(result)), said(result)
    assert all(verdict["message"] for verdict in result.verdicts)


@pytest.mark.parametrize("name", HONEST)
def test_no_neighbour_loses_a_mark(graded, name):
    result = graded.results[name]
    assert result.points == result.out_of == FULL
    assert not result.notes and not result.failure


@pytest.mark.parametrize("name", STUDENTS)
def test_names_of_students_are_only_names(graded, name):
    assert graded.results[name].points == FULL


@pytest.mark.parametrize("name", LINKS)
def test_a_linked_folder_is_not_handed_in(graded, name):
    """Nor is what lies in it, which feedback would carry to whoever made the link."""
    result = graded.results[name]
    assert result.points == 0 and "01-toy.ipynb (a link)" in result.failure
    kept = [path.name for path in (graded.course.autograded / name / TOY).iterdir()]
    assert sorted(kept) == [FILE, "exercises.json"]


def test_the_gradebook_holds_every_mark_once(graded):
    marks = {
        (r.student, verdict["exercise"]): verdict["points"] for r in graded.results.values() for verdict in r.verdicts
    }
    assert graded.rows == marks
    assert len(graded.results) >= len(ATTACKS) + len(HONEST) + len(STUDENTS)


def test_no_exercise_is_worth_more_than_it_was(graded):
    assert {sum(v["out_of"] for v in result.verdicts) for result in graded.results.values()} == {FULL}


def test_nothing_outside_was_written_or_reached(graded):
    assert fingerprints(graded.course) == graded.before
    assert sorted(path.name for path in graded.course.root.iterdir()) == graded.around
    for stray in ("canary", "left-behind", "filler-0"):
        assert not list(graded.course.root.rglob(stray))
        assert (
            not Path("/", stray).exists()
            and not Path("/tmp", stray).exists()
            and not Path.home().joinpath(stray).exists()
        )


def test_a_listener_on_this_machine_is_out_of_reach(graded):
    assert graded.results[CALLER].points == FULL
    notebook = (graded.course.autograded / CALLER / TOY / FILE).read_text()
    assert "sendall" in notebook and '"reached\\n"' not in notebook
    assert graded.connections == []


def test_no_process_is_left_behind(graded):
    assert not running("9753124")


def test_no_secret_is_in_any_graded_notebook(graded):
    for path in graded.course.autograded.glob(f"*/{TOY}/{FILE}"):
        outputs = json.dumps([cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells])
        assert "nobody reads this" not in outputs


@pytest.mark.parametrize("name", LOOKERS)
def test_whoever_looks_for_secrets_finds_none(graded, name):
    notebook = nbformat.read(graded.course.autograded / student(f"machine: {name}") / TOY / FILE, as_version=4)
    shown = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "secrets found: []\n" in shown  # it has looked everywhere, and says so


def test_only_plain_files_of_its_own_are_kept_beside_a_graded_notebook(graded):
    for path in graded.course.autograded.rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or path.is_file()
    assert sum(path.stat().st_size for path in graded.course.autograded.rglob("*")) < 2**30


def test_what_a_graded_notebook_shows_is_capped(graded):
    sizes = [path.stat().st_size for path in graded.course.results.folder.iterdir()]
    assert MAX_SHOWN_IN_ALL / 2 < max(sizes) < MAX_SHOWN_IN_ALL * 1.25  # what is shown, and the notebook itself


class Page(HTMLParser):
    """What in a page could act on whoever looks at it."""

    def __init__(self, text: str):
        super().__init__()
        self.active: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("iframe", "object", "embed", "base", "form", "svg", "script", "meta", "style", "link"):
            self.active.append(f"{tag} {dict(attrs)}")
        self.active += [
            name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "").lower()
        ]


SHOWN = [name for name in ATTACKS if "scripts" in name or "widget" in name]


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_in_a_feedback_page_can_act(graded, name, monkeypatch):
    monkeypatch.chdir(graded.course.root)
    pages = []
    for who in ("a-honest", student(name)):
        succeed(graded.course.api.generate_feedback(TOY, who, force=True), "feedback")
        pages.append((graded.course.feedback / who / TOY / f"{TOY}.html").read_text(encoding="utf-8"))
    assert "&lt;script&gt;" in pages[1] or "widget" in name or "tags" in name  # nothing of those is kept
    assert Page(pages[1]).active == Page(pages[0]).active


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_in_formgraders_page_can_act(graded, name):
    config = Config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [template_path]
    exporter = HTMLExporter(config=config)
    known = dict.fromkeys(("assignment_id", "notebook_id", "submission_id", "base_url", "student"), "x")
    known |= {"index": 0, "total": 1, "last_name": "", "first_name": "", "notebook_path": ""}
    pages = [
        exporter.from_filename(str(graded.course.autograded / who / TOY / FILE), resources=dict(known))[0]
        for who in ("a-honest", student(name))
    ]
    assert Page(pages[1]).active == Page(pages[0]).active


def test_nothing_in_the_class_report_can_act(graded, monkeypatch, capsys):
    monkeypatch.chdir(graded.course.root)
    assert main(["report"]) == 1  # one timestamp cannot be read, and that is said
    page = (graded.course.root / "gradebook" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bold&lt;b&gt;" in page
    assert not [thing for thing in Page(page).active if not thing.startswith(("meta", "style"))]
    with (graded.course.root / "gradebook" / "marks.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert {"=1+1", "-rf"} <= {*cells}  # ids stay as they are: without a call, a pipe or a sheet's name nothing can act
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t")) and {*"(|!"} & {*cell}]
