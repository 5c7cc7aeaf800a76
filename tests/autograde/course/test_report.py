"""The class report, through the command line: what to do next comes first, then the tables, then a page a learner."""

import re
import shutil

import nbformat
import pytest

from autograde.cli import main
from autograde.course.course import CONFIG_FILE, Course
from autograde.course.learners import LEARNERS, address
from autograde.course.similar import alike
from autograde.course.simulate import simulate
from tests.autograde.conftest import TOY, make_course
from tests.autograde.course.test_feedback_page import PLAIN, Outline, plain_notebook

FLAGGED, BROKEN, ODD = "student-001", "student-002", "o'neil <b>[2]"
ROWS = """def rows(images, patch):
    if images.shape[2] % patch:
        raise ValueError("{0} does not divide")
    return torch.stack(images.split(patch, dim=2), dim=1)
"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Four of a class and two chapters: one late and poor, one unreadable, one to be marked by hand, one renamed."""
    course = make_course(tmp_path_factory.mktemp("report") / "course")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        with (course.root / CONFIG_FILE).open("a") as config:
            config.write('c.LateSubmissionPlugin.penalty_method = "zero"\nc.Report.formgrader = "/hub/formgrader/"\n')
        course = Course(course.root)
        (course.solutions / PLAIN).mkdir()
        nbformat.write(plain_notebook(), course.solutions / PLAIN / "problem.ipynb")
        assert main(["release", PLAIN]) == 0
        simulate(course, TOY, 5)
        first, second, third, fourth = (course.submitted / f"student-{number:03}" / TOY for number in range(1, 5))
        (course.submitted / "student-005").rename(course.submitted / ODD)
        solved = nbformat.read(first / f"{TOY}.ipynb", as_version=4)
        cell = next(
            cell for cell in solved.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "cut-rows-answer"
        )
        for folder, comment in ((first, ""), (third, "  # a comment, other spaces\n\n")):
            cell.source = f"import torch\n{comment}\n{ROWS}"
            nbformat.write(solved, folder / f"{TOY}.ipynb")
        wrong = nbformat.read(fourth / f"{TOY}.ipynb", as_version=4)
        next(cell for cell in wrong.cells if cell.id == "tokens-answer").source = "tokens = 4"
        nbformat.write(wrong, fourth / f"{TOY}.ipynb")
        (second / f"{TOY}.ipynb").write_text("{broken")
        (third / f"{TOY}.ipynb").rename(third / "mine.ipynb")
        (fourth / "timestamp.txt").write_text("2030-01-03 00:00:00 UTC")
        (course.submitted / ODD / PLAIN).mkdir()
        released = nbformat.read(course.released / PLAIN / "problem.ipynb", as_version=4)
        released.cells[4].source = "I think so."
        nbformat.write(released, course.submitted / ODD / PLAIN / "problem.ipynb")
        with course.api.gradebook as gradebook:
            gradebook.update_or_create_assignment(TOY, duedate="2030-01-01 00:00:00 UTC")
        assert main(["grade", "--jobs", "0"]) == 1  # one cannot be read
        with course.api.gradebook as gradebook:
            gradebook.find_submission_notebook(TOY, TOY, "student-001").flagged = True
            gradebook.db.commit()
        assert main(["report"]) == 0
    return course


def report(course):
    return (course.root / "gradebook" / "report.html").read_text(encoding="utf-8")


def waiting(course):
    """The queue: kind, link, student and what."""
    lists = "".join(re.findall(r'<ul class="queue">.*?</ul>', report(course), re.DOTALL))
    return re.findall(r'<span class="kind">(.*?)</span> <a href="(.*?)">(.*?)</a>: (.*?)</li>', lists)


def test_what_to_do_next_comes_before_the_tables(reported):
    outline = Outline(report(reported))
    assert outline.headings == [
        "Class report", "What to do next", "Talk about in class", "Who needs help", "What waits for an eye",
        TOY, "Exercises", "Students", "Code answers with similar text", PLAIN, "Exercises", "Students",
    ]  # fmt: skip
    assert outline.all("html") == [{"lang": "en"}] and outline.all("meta")[1]["name"] == "viewport"
    assert not outline.all("script")


def test_the_queue_holds_what_waits_and_links_to_formgrader(reported):
    found = waiting(reported)
    with reported.api.gradebook as gradebook:
        ids = {
            (student, name): gradebook.find_submission_notebook(notebook, name, student).id
            for student, name, notebook in [
                ("student-001", TOY, TOY),
                ("student-002", TOY, TOY),
                (ODD, PLAIN, "problem"),
            ]
        }
    kinds = {(kind, student) for kind, _, student, _ in found}
    odd = "o&#39;neil &lt;b&gt;[2]"
    assert kinds >= {
        ("flagged", "student-001"),
        ("unreadable", "student-002"),
        ("renamed", "student-003"),
        ("manual", odd),
    }
    links = {(kind, student): link for kind, link, student, _ in found}
    assert links["flagged", "student-001"] == f"/hub/formgrader/submissions/{ids['student-001', TOY]}"
    assert links["unreadable", "student-002"] == f"/hub/formgrader/submissions/{ids['student-002', TOY]}"
    assert links["manual", odd] == f"/hub/formgrader/submissions/{ids[ODD, PLAIN]}"


def test_a_flag_that_was_taken_down_waits_no_more(reported, tmp_path, monkeypatch):
    root = tmp_path / "course"
    shutil.copytree(reported.root, root)
    monkeypatch.chdir(root)
    with Course(root).api.gradebook as gradebook:
        gradebook.find_submission_notebook(TOY, TOY, "student-001").flagged = False
        gradebook.find_grade("essay", "problem", PLAIN, ODD).manual_score = 2
        gradebook.find_grade("essay", "problem", PLAIN, ODD).needs_manual_grade = False
        gradebook.db.commit()
    assert main(["report"]) == 0
    assert {kind for kind, *_ in waiting(Course(root))} == {"unreadable", "renamed"}


def test_who_needs_help_and_what_to_talk_about(reported):
    page = report(reported)
    helped = page[page.index("Who needs help") : page.index("What waits for an eye")]
    assert "student-004</a>: 0 % of the points; not handed in: 02-plain" in helped and "late 1 time" in helped
    told = page[page.index("Talk about in class") : page.index("Who needs help")]
    assert "Most common misconception: forgot to square (1 of 5). They were told: “That is one side of 32 / 8.”" in told
    assert "essay" not in told and ODD[:3] not in helped  # what waits for a mark by hand is no bad mark


def test_a_page_a_learner(reported):
    pages = reported.root / "gradebook" / LEARNERS
    assert len(list(pages.iterdir())) == 5
    late = (pages.parent / address("student-004")).read_text(encoding="utf-8")
    assert "2030-01-03 00:00 UTC, 2 days late" in late and "not handed in" in late
    odd = (pages.parent / address(ODD)).read_text(encoding="utf-8")
    assert Outline(odd).headings == [ODD, TOY, PLAIN] and "waits for a mark by hand" in odd
    links = {attrs["href"] for attrs in Outline(report(reported)).all("a")}
    assert {address(name) for name in ("student-001", ODD)} <= links


def test_similar_text_is_found_whatever_the_spaces_and_comments(reported):
    (one,) = (one for one in alike(reported, TOY, ["student-001", "student-002", "student-003"]))
    assert one.answer == "cut-rows-answer" and one.share == 1 and set(one.students) == {"student-001", "student-003"}
    assert "Similar text is not proof of anything" in report(reported)


def test_a_class_of_one_and_a_class_of_nobody(course):
    assert main(["report"]) == 0
    empty = report(course)
    assert "Nothing is graded yet" in empty and "What to do next" not in empty
    simulate(course, TOY, 1)
    assert main(["grade", "--jobs", "0"]) == 0
    with course.api.gradebook as gradebook:
        gradebook.find_grade("tokens", TOY, TOY, "student-001").extra_credit = 1.0
        gradebook.db.commit()
    assert main(["report"]) == 0
    page = report(course)
    bars = [float(width) for width in re.findall(r'<i style="width: ([\d.]+)%">', page)]
    assert bars and max(bars) == 100 and "200 %" in page, "a bar stays in its box, whatever a teacher added"
    assert "1 graded submission." in page and "No exercise stands out" in page
    assert "Nobody stands out" in page and "similar text" not in page and not waiting(course)
    shutil.rmtree(course.submitted / "student-001")
    with course.api.gradebook as gradebook:
        gradebook.remove_student("student-001")
    assert main(["report"]) == 0
    assert not list((course.root / "gradebook" / LEARNERS).iterdir())


def test_where_formgrader_is_has_to_be_an_address(course, capsys):
    with (course.root / CONFIG_FILE).open("a") as config:
        config.write('c.Report.formgrader = "javascript:alert(1)"\n')
    simulate(course, TOY, 1)
    assert main(["grade", "--jobs", "0"]) == 0
    assert main(["report"]) == 1
    assert "c.Report.formgrader is 'javascript:alert(1)'" in capsys.readouterr().err


def test_a_chapter_of_practice_alone_is_reported_too(course):
    """Nobody earns a share of no points, as in chapter 0."""
    key = course.solutions / TOY / "key.py"
    practice = "\nfor name in 'tokens', 'share', 'positions', 'remedy', 'cut_rows':\n"
    practice += "    globals()[name] = __import__('dataclasses').replace(globals()[name], points=0)\n"
    key.write_text(key.read_text() + practice)
    assert main(["weave", TOY]) == main(["release", TOY]) == 0
    simulate(course, TOY, 2)
    assert main(["grade", TOY, "--jobs", "0"]) == main(["report", TOY]) == main(["report", TOY]) == 0
    page = (course.submitted.parent / "report.html").read_text(encoding="utf-8")
    assert "2 graded submissions. They earn no points: it is all practice." in page
