"""An ordinary nbgrader assignment, without a key, gets from `autograde` what stock nbgrader gives it, row by row."""

import shutil
import sqlite3
from contextlib import closing

import nbformat
import pytest

from autograde.cli import main
from autograde.course.course import CONFIG_FILE, Course
from autograde.course.marks import read_marks
from tests.autograde.conftest import HERE, ROOT, TOY, run_nbgrader
from tests.autograde.course.test_parity import TABLES
from tests.autograde.problem_set import HANDED_IN, PROBLEM1, PS1, RIGHT, STUB, hand_in, write_source

STOCK = """
c = get_config()
c.CourseDirectory.course_id = "vision-transformers"
c.CourseDirectory.db_url = "sqlite:///gradebook.db"
c.LateSubmissionPlugin.penalty_method = "zero"
"""
DUE = "2030-01-01 00:00:00 UTC"
TOY_COURSE = HERE / "course"
COMPARED = ("bitdiddle", "hacker", "visible-only")  # learners of a chapter that also has a key


def rows(database):
    """All that nbgrader keeps of submissions, but for the ids that it draws at random."""
    with closing(sqlite3.connect(database)) as opened:
        return {name: sorted(opened.execute(f"SELECT {query}"), key=repr) for name, query in TABLES.items()}


def make_course(root):
    root.mkdir()
    shutil.copy(ROOT / CONFIG_FILE, root)
    with (root / CONFIG_FILE).open("a") as config:
        config.write('c.LateSubmissionPlugin.penalty_method = "zero"\n')
    write_source(root / "solutions" / PS1)
    return Course(root)


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The same class under nbgrader alone."""
    root = tmp_path_factory.mktemp("stock") / "course"
    write_source(root / "source" / PS1)
    (root / CONFIG_FILE).write_text(STOCK)
    run_nbgrader(root, "generate_assignment", PS1)
    run_nbgrader(root, "db", "assignment", "add", PS1, f"--duedate={DUE}")
    hand_in(root / "release" / PS1, root / "submitted")
    run_nbgrader(root, "autograde", PS1)
    return root


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    course = make_course(tmp_path_factory.mktemp("ours") / "course")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        assert main(["release"]) == 0
        course.api.gradebook.update_or_create_assignment(PS1, duedate=DUE)
        hand_in(course.released / PS1, course.submitted)
        assert main(["grade", "--jobs", "2"]) == 1  # one-notebook has none of the other, which is said
    return course


def test_the_release_is_nbgraders(ours, stock):
    for name in ("problem1.ipynb", "problem2.ipynb", "squares.csv"):
        assert (ours.released / PS1 / name).read_bytes() == (stock / "release" / PS1 / name).read_bytes()
    text = (ours.released / PS1 / "problem1.ipynb").read_text()
    assert STUB.splitlines()[0] in text
    assert not any(word in text for word in ("HIDDEN", "squares(10)", "MARK SCHEME", "A sum sign", "BEGIN SOLUTION"))


def test_the_rows_are_nbgraders(ours, stock):
    mine, theirs = rows(ours.root / "gradebook" / "gradebook.db"), rows(stock / "gradebook.db")
    assert mine == theirs


def test_the_class_is_worth_comparing(ours):
    marks = {one.student: one for one in read_marks(ours, PS1)}
    auto = {student: sum(verdict["auto"] or 0 for verdict in one.verdicts) for student, one in marks.items()}
    assert auto == {"bitdiddle": 6, "hacker": 7, "visible-only": 2, "blank": 1, "noisy": 7, "slip": 1, "late": 7,
                    "one-notebook": 6}  # fmt: skip
    assert marks["bitdiddle"].by_hand == ["equation", "application", "project", "part-a", "part-b"]
    assert marks["late"].penalty == 7 and marks["late"].points == 0 and marks["late"].is_late
    assert marks["hacker"].out_of == 17


def test_formgraders_button_and_nbgraders_command_leave_every_row_as_it_was(ours):
    database = ours.root / "gradebook" / "gradebook.db"
    before = rows(database)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ours.root)
        for student in ours.submissions(PS1):
            assert ours.api.autograde(PS1, student)["success"]
    assert rows(database) == before
    run_nbgrader(ours.root, "autograde", PS1, "--force", "--student", "bitdiddle")
    assert rows(database) == before


def test_an_essay_is_kept_and_shown(ours):
    graded = nbformat.read(ours.autograded / "hacker" / PS1 / "problem2.ipynb", as_version=4)
    assert any(RIGHT["part-b"] in cell.source for cell in graded.cells)


@pytest.fixture
def attacked(tmp_path, monkeypatch):
    course = make_course(tmp_path / "course")
    monkeypatch.chdir(course.root)
    assert main(["release"]) == 0
    return course


@pytest.mark.parametrize(
    "attack",
    [
        "import ast\nclass Strip(ast.NodeTransformer):\n    def visit_Assert(self, node):\n        return ast.Pass()\n"
        "get_ipython().ast_transformers.append(Strip())",
        "shell = get_ipython()\nshell.run_cell = lambda *a, **k: None",
        "class Anything(list):\n    def __eq__(self, other):\n        return True\n"
        "def squares(n):\n    return Anything()",
        "import pathlib\npathlib.Path.read_text = lambda self: '1,4,9'",
    ],
)  # fmt: skip
def test_an_attack_on_the_tests_is_caught_or_flagged(attacked, attack, capsys):
    wrong = "def squares(n):\n    return 'wrong'\n"
    hand_in(attacked.released / PS1, attacked.submitted, {"eve": RIGHT | {"squares": wrong + attack}})
    main(["grade", "--jobs", "1"])
    (eve,) = read_marks(attacked, PS1)
    waiting = {verdict["exercise"] for verdict in eve.verdicts if verdict["needs_manual_grade"]}
    assert eve.look and {"correct_squares", "squares_invalid_input"} <= waiting
    assert "look at this one" in capsys.readouterr().out
    with attacked.api.gradebook as gradebook:
        assert gradebook.find_submission_notebook("problem1", PS1, "eve").flagged


HONEST = """
for layer in torch.nn.ReLU().modules():
    pass
torch.backends.cudnn.deterministic = True
get_ipython().run_line_magic('matplotlib', 'inline')
"""


def test_what_honest_code_says_is_no_attack(attacked):
    hand_in(attacked.released / PS1, attacked.submitted, {"ada": RIGHT | {"application": f"import torch{HONEST}"}})
    assert main(["grade", "--jobs", "1"]) == 0
    (ada,) = read_marks(attacked, PS1)
    assert ada.look == [] and ada.points == 7


def test_honest_work_is_not_flagged(ours):
    assert not any(marks.look for marks in read_marks(ours, PS1))
    assert not any("changed" in note for marks in read_marks(ours, PS1) for note in marks.notes)
    assert HANDED_IN.keys() == {marks.student for marks in read_marks(ours, PS1)}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """One notebook with the exercises of a key and, between them, nbgrader's own cells; nbgrader's learners."""
    course = make_course(tmp_path_factory.mktemp("mixed") / "course")
    folder = course.solutions / PS1
    shutil.copy(TOY_COURSE / TOY / "key.py", folder)
    toy, plain = (nbformat.read(path, as_version=4) for path in (TOY_COURSE / TOY / f"{TOY}.ipynb",
                                                                 folder / "problem1.ipynb"))  # fmt: skip
    toy.cells[3:3] = plain.cells
    nbformat.write(toy, folder / f"{PS1}.ipynb")
    for name in ("problem1", "problem2"):
        (folder / f"{name}.ipynb").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        assert main(["release"]) == 0
        learners = {name: HANDED_IN[name] | {"tokens-answer": "tokens = 16"} for name in COMPARED}
        hand_in(course.released / PS1, course.submitted, learners)
        assert main(["grade", "--jobs", "2"]) == 0
    return course


def own_rows(course_rows):
    """Those of nbgrader's own cells that the mixed chapter and the problem set have in common."""
    cells = {cell.id for cell in PROBLEM1}
    kept = {name: [row for row in course_rows[name] if row[1] in cells] for name in ("grade", "comment")}
    return {name: [row for row in found if row[0] in COMPARED] for name, found in kept.items()}


def test_beside_a_key_nbgraders_cells_keep_their_rows(mixed, stock):
    mine, theirs = own_rows(rows(mixed.root / "gradebook" / "gradebook.db")), own_rows(rows(stock / "gradebook.db"))
    assert mine == theirs and len(mine["grade"]) == len(COMPARED) * 7
    marks = {one.student: {verdict["exercise"]: verdict for verdict in one.verdicts} for one in read_marks(mixed, PS1)}
    assert [marks[name]["tokens"]["points"] for name in COMPARED] == [1.0, 1.0, 1.0]
    assert marks["hacker"]["share"]["status"] == "blank" and marks["hacker"]["share"]["out_of"]


def test_what_a_teacher_gave_by_hand_stays_when_a_mixed_chapter_is_graded_again(mixed):
    with mixed.api.gradebook as gradebook:
        for name, points in (("equation", 0.5), ("tokens", 0.25)):
            grade = gradebook.find_grade(name, PS1, PS1, "hacker")
            grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.db.commit()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(mixed.root)
        for words in (["--regrade", "--student", "hacker"], []):
            assert main(["grade", "--jobs", "0", *words]) == 0
    (hacker,) = (one for one in read_marks(mixed, PS1) if one.student == "hacker")
    by_name = {verdict["exercise"]: verdict for verdict in hacker.verdicts}
    assert (by_name["equation"]["points"], by_name["tokens"]["points"]) == (0.5, 0.25)
    assert by_name["tokens"]["auto"] == 1.0
    assert {"equation", "tokens", "application", "project"} == set(hacker.by_hand)  # nbgrader asks to look again
