"""Numbers of one's own: the same on both sides and on every fetch, and a neighbour's answer is no use."""

import json
from itertools import permutations

import nbformat
import pytest
from nbclient import NotebookClient

from autograde.answers.serialize import pack
from autograde.answers.sheet import full_name, pick
from autograde.course.grading import grade
from autograde.course.release import release
from autograde.course.simulate import simulate
from autograde.exercises import BadKey, Misconception, Numeric, Plain
from autograde.learner import student
from autograde.learner.check import CheckFailed, ask, check
from autograde.learner.student import sign_in
from tests.autograde.authoring.test_keys import KEYS
from tests.autograde.conftest import TOY

VARIED = [e for key in KEYS for e in key.exercises.values() if isinstance(e, Plain) and e.parameter_values]
each_varied = pytest.mark.parametrize("exercise", VARIED, ids=[exercise.id for exercise in VARIED])
CLASS = [full_name("course", f"student-{number}") for number in range(60)]


@each_varied
def test_a_thousand_students_get_one_right_answer_and_misconceptions_apart(exercise):
    theirs = {id(own): own for own in (exercise.of(full_name("course", f"student-{n}")) for n in range(1000))}
    assert all(own.personal and own.all_differ() for own in theirs.values())


@each_varied
def test_the_books_own_numbers_are_one_of_the_variants(exercise):
    assert any(variant.parameters == exercise.parameters for variant in exercise.variants)


@each_varied
def test_a_neighbours_answer_earns_nothing_in_19_of_20_pairs(exercise):
    pairs = permutations([exercise.of(name) for name in CLASS], 2)
    useless = [not mine.mark({"answer": pack(yours.value(yours.answer))}).points for mine, yours in pairs]
    assert sum(useless) >= 0.95 * len(useless)


@each_varied
def test_verdicts_show_the_students_own_numbers(exercise):
    own = exercise.of(CLASS[0])
    assert all(f"{name} {number}" in own.mark({"answer": 10**9}).message for name, number in own.parameters.items())


def test_the_choice_is_the_same_on_every_machine():
    assert [pick(full_name("vit", "ada"), "tokens", 100), pick(full_name("vit", " ada "), "tokens", 100)] == [2, 2]
    assert full_name("vit", "ada") != full_name("vit", "bob")


def test_parameter_values_has_to_name_parameters():
    with pytest.raises(BadKey, match="parameter_values has patch"):
        Numeric("n", title="N", prompt="{side}", parameters={"side": 1}, parameter_values={"patch": [1]}, answer=1)


def test_numbers_that_make_a_misconception_right_are_left_out():
    square = Numeric(
        "square", title="S", prompt="{n}²?", parameters={"n": 3}, parameter_values={"n": range(5)},
        answer=lambda n: n * n,
        misconceptions=[Misconception("doubled", lambda n: 2 * n, "Twice is not squared.")],
    )  # fmt: skip
    assert [variant.parameters["n"] for variant in square.variants] == [1, 3, 4]


@pytest.fixture
def varied(course, monkeypatch):
    monkeypatch.setattr(student, "_signed_in", "")
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    release(course, [TOY], variants=True)
    monkeypatch.chdir(course.released / TOY)
    return course


def own_answer(course, name):
    exercise = course.key(TOY)["tokens"].of(full_name(course.id, name))
    return exercise.value(exercise.answer), exercise


def test_a_learner_signs_in_is_asked_and_checked_with_their_own_numbers(varied, capsys):
    with pytest.raises(CheckFailed, match="run the cell with sign_in"):
        check("tokens", 16)
    sign_in("ada")
    answer, exercise = own_answer(varied, "ada")
    ask("tokens")
    check("tokens", answer)
    assert "is right" in capsys.readouterr().out
    with pytest.raises(
        CheckFailed, match=f"one side of {exercise.parameters['side']} / {exercise.parameters['patch']}"
    ):
        check("tokens", exercise.parameters["side"] // exercise.parameters["patch"])
    check("positions", 1)  # it does not vary


def test_beside_the_key_the_numbers_are_the_books_own(varied, monkeypatch):
    """The instructor's notebook holds the answers to those, and no cell to sign in."""
    monkeypatch.chdir(varied.solutions / TOY)
    check("tokens", 16)


@pytest.mark.parametrize("name", ["...", "", "  ", 5, None])
def test_without_a_name_nobody_signs_in(varied, name):
    with pytest.raises(CheckFailed, match="your student id is missing"):
        sign_in(name)


def test_a_hub_knows_who_is_asking(varied, monkeypatch, capsys):
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    sign_in()
    assert "Signed in as ada" in capsys.readouterr().out


def test_the_released_notebook_signs_in_and_asks(varied):
    notebook = varied.template(TOY)
    cells = {cell.id: cell for cell in notebook.cells}
    assert "32" not in cells["tokens-prompt"].source
    cells["sign-in"].source = cells["sign-in"].source.replace("...", "ada")
    cells["tokens-answer"].source = f"tokens = {own_answer(varied, 'ada')[0]}"
    folder = {"metadata": {"path": str(varied.released / TOY)}}
    NotebookClient(notebook, allow_errors=True, timeout=300, resources=folder).execute()
    side = own_answer(varied, "ada")[1].parameters["side"]
    assert f"A picture of {side} × {side} pixels" in cells["tokens-question"].outputs[0].data["text/markdown"]
    assert "is right" in cells["tokens"].outputs[0].data["text/plain"]


def test_grading_uses_the_same_numbers(varied, monkeypatch):
    monkeypatch.chdir(varied.root)
    simulate(varied, TOY, 1)  # sure of everything
    copied = varied.submitted / "student-001" / TOY / f"{TOY}.ipynb"
    neighbour = varied.submitted / "student-002" / TOY
    neighbour.mkdir(parents=True)
    (neighbour / copied.name).write_text(copied.read_text())
    honest, copier = sorted(grade(varied, TOY, []), key=lambda graded: graded.student)
    assert honest.points == honest.out_of
    assert [verdict["exercise"] for verdict in copier.verdicts if not verdict["points"]] == ["tokens"]
    assert "Your numbers: side" in copier.verdicts[0]["message"]


def test_without_variants_nothing_of_them_is_released(course):
    sheet = json.loads((course.released / TOY / "exercises.json").read_text())
    assert "course" not in sheet and not any("variants" in entry for entry in sheet["exercises"].values())
    assert "sign_in" not in nbformat.writes(course.template(TOY))
