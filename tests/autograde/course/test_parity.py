"""`autograde grade` and nbgrader's own command fill the gradebook alike, row by row; so does formgrader's button."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from autograde.cli import main
from autograde.course.course import CONFIG_FILE, Course
from autograde.course.simulate import simulate
from tests.autograde.conftest import TOY, run_nbgrader

HONEST = 5  # the first temperaments hand in what nbgrader, too, can read
TABLES = {
    "student": "id, first_name, last_name, email, lms_user_id FROM student",
    "submission": """student_id, assignment.name, timestamp, extension FROM submitted_assignment
                     JOIN assignment ON assignment_id = assignment.id""",
    "notebook": """student_id, notebook.name, late_submission_penalty FROM submitted_notebook
                   JOIN notebook ON notebook_id = notebook.id
                   JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id""",
    "grade": """student_id, base_cell.name, base_cell.type, auto_score, manual_score, extra_credit, needs_manual_grade
                FROM grade JOIN base_cell ON cell_id = base_cell.id
                JOIN submitted_notebook ON grade.notebook_id = submitted_notebook.id
                JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id""",
    "comment": """student_id, base_cell.name, base_cell.type, auto_comment, manual_comment
                  FROM comment JOIN base_cell ON cell_id = base_cell.id
                  JOIN submitted_notebook ON comment.notebook_id = submitted_notebook.id
                  JOIN submitted_assignment ON submitted_notebook.assignment_id = submitted_assignment.id""",
}


def rows(course):
    """All that nbgrader keeps of submissions, but for the ids that it draws at random."""
    with closing(sqlite3.connect(course.root / "gradebook" / "gradebook.db")) as database:
        return {name: sorted(database.execute(f"SELECT {query}"), key=repr) for name, query in TABLES.items()}


def files(course):
    """What lies in autograded/, by path, with its permissions.

    Notebooks count as what they hold, every text and number of it: nbgrader indents its JSON, ours has no spaces.
    """
    return {
        str(path.relative_to(course.autograded)): (path.stat().st_mode, _content(path))
        for path in course.autograded.rglob("*")
        if path.is_file()
    }


def _content(path):
    if path.suffix != ".ipynb":
        return path.read_bytes()
    notebook = json.loads(path.read_bytes())
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            held = output.get("data", output)
            held.update({kind: "".join(held[kind]) for kind in held if isinstance(held[kind], list)})
    return notebook


@pytest.fixture(scope="module")
def both(released_course, tmp_path_factory):
    """One class twice: graded by `autograde grade --jobs 2`, and by the real `nbgrader autograde`."""
    ours = Course(tmp_path_factory.mktemp("ours") / "course")
    shutil.copytree(released_course, ours.root)
    simulate(ours, TOY, HONEST)
    late = ours.submitted / "student-002" / TOY
    (late / "timestamp.txt").write_text("2030-01-02 03:04:05 UTC")
    (late / "figure.txt").write_text("handed in beside the notebook")
    with (ours.root / CONFIG_FILE).open("a") as config:
        config.write('c.LateSubmissionPlugin.penalty_method = "zero"\n')
    ours.api.gradebook.update_or_create_assignment(TOY, duedate="2030-01-01 00:00:00 UTC")
    theirs = Course(tmp_path_factory.mktemp("theirs") / "course")
    shutil.copytree(ours.root, theirs.root)
    run_nbgrader(theirs.root, "autograde", TOY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ours.root)
        assert main(["grade", TOY, "--jobs", "2"]) == 0
    return Course(ours.root), theirs


def test_the_rows_are_the_same(both):
    ours, theirs = both
    assert rows(ours) == rows(theirs)


def test_the_class_has_marks_and_a_late_submission(both):
    scores = {score for _, _, _, score, *_ in rows(both[0])["grade"]}
    assert {0, 1, 2} <= scores
    penalties = {student: penalty for student, _, penalty in rows(both[0])["notebook"]}
    assert penalties["student-002"] > 0 and penalties["student-001"] is None


def test_the_files_are_the_same(both):
    ours, theirs = both
    assert files(ours) == files(theirs)


def test_formgraders_button_leaves_every_row_as_it_was(both):
    ours, _ = both
    before = rows(ours)
    for student in ours.submissions(TOY):
        assert ours.api.autograde(TOY, student)["success"]
    assert rows(ours) == before


def test_a_step_that_a_course_adds_to_nbgraders_is_taken(course):
    """Here: one that gives every learner's first cell a tag."""
    (course.root / "extra.py").write_text(
        "from nbgrader.preprocessors import NbGraderPreprocessor\n"
        "class Tag(NbGraderPreprocessor):\n"
        "    def preprocess(self, nb, resources):\n"
        "        nb.cells[0].metadata.tags = ['seen']\n"
        "        return nb, resources\n"
    )
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write("sys.path.insert(0, str(course))\nfrom extra import Tag\n")
        config.write("c.Autograde.autograde_preprocessors.append(Tag)\n")
    simulate(course, TOY, 1)
    assert main(["grade", TOY, "--jobs", "1"]) == 0
    assert "seen" in (course.autograded / "student-001" / TOY / f"{TOY}.ipynb").read_text(encoding="utf-8")
