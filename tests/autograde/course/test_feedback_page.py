"""The page that a learner gets back: every exercise first, and nothing in it that could run."""

import re
import shutil
from functools import partial
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from autograde.cli import main
from autograde.course.cell_html import cell_html, clean, markdown
from autograde.course.course import CONFIG_FILE, Course
from autograde.course.feedback_page import _leave_out_old_points
from autograde.course.simulate import simulate
from autograde.engine.client import rebuild
from tests.autograde.conftest import TOY, make_course, run_nbgrader

PLAIN = "02-plain"


class Outline(HTMLParser):
    """What a page holds, in order: headings, links, tags and their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("h1", "h2", "h3"):
            self.inside = tag
            self.headings.append("")

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data):
        if self.inside:
            self.headings[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def plain_cell(kind, source, name, points=None, **flags):
    cell = new_code_cell(source) if kind == "code" else new_markdown_cell(source)
    grading = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    cell.metadata.nbgrader = grading | flags | ({} if points is None else {"points": points})
    return cell


def plain_notebook():
    """An assignment of nbgrader's own, without a key: a test, an essay."""
    return nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        cells=[
            new_markdown_cell("# Problem 1\n\n## Squares"),
            plain_cell(
                "code", "### BEGIN SOLUTION\nsquare = 4\n### END SOLUTION", "square", solution=True, locked=False
            ),
            plain_cell("code", "assert square == 4", "square-test", 2, grade=True, locked=True),
            new_markdown_cell("## In words"),
            plain_cell("markdown", "Because.", "essay", 3, grade=True, solution=True),
        ],
    )


@pytest.fixture(scope="module")
def handed_back(tmp_path_factory):
    """A course of a chapter with a key and one without, graded, marked by hand, handed back."""
    course = make_course(tmp_path_factory.mktemp("feedback") / "course")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        with (course.root / CONFIG_FILE).open("a") as config:
            config.write('c.LateSubmissionPlugin.penalty_method = "zero"\n')
        course = Course(course.root)
        (course.solutions / PLAIN).mkdir()
        nbformat.write(plain_notebook(), course.solutions / PLAIN / "problem.ipynb")
        assert main(["release", PLAIN]) == 0
        simulate(course, TOY, 3)
        released = nbformat.read(course.released / PLAIN / "problem.ipynb", as_version=4)
        released.cells[1].source, released.cells[4].source = "square = 5", "I <script>alert(1)</script> think so."
        (course.submitted / "student-001" / PLAIN).mkdir()
        nbformat.write(released, course.submitted / "student-001" / PLAIN / "problem.ipynb")
        (course.submitted / "student-002" / TOY / f"{TOY}.ipynb").write_text("{broken")
        (course.submitted / "student-001" / TOY / "timestamp.txt").write_text("2030-01-03 00:00:00 UTC")
        with course.api.gradebook as gradebook:
            gradebook.update_or_create_assignment(TOY, duedate="2030-01-01 00:00:00 UTC")
        assert main(["grade", "--jobs", "0"]) == 1  # one cannot be read
        with course.api.gradebook as gradebook:
            grade = gradebook.find_grade("cut-rows", TOY, TOY, "student-003")
            grade.manual_score, grade.needs_manual_grade, grade.extra_credit = 3.0, False, 0.5
            comment = "Nearly: see the *order*. <script>alert(2)</script>"
            gradebook.find_comment("cut-rows-answer", TOY, TOY, "student-003").manual_comment = comment
            gradebook.db.commit()
        assert main(["feedback"]) == 0
    return course


def page(course, student, chapter=TOY, notebook=TOY):
    return (course.feedback / student / chapter / f"{notebook}.html").read_text(encoding="utf-8")


def items(text):
    return re.findall(r'<section class="item (\w+)">(.*?)</section>', text, re.DOTALL)


def test_a_page_opens_with_every_exercise_and_folds_the_chapter(handed_back):
    text = page(handed_back, "student-003")
    outline = Outline(text)
    titles = ["Count tokens", "A share", "What is added?", "Out of memory", "Cut rows"]
    assert outline.headings[:2] == [TOY, "Exercises"]
    assert [heading.partition(" · ")[2] for heading in outline.headings[2:7]] == titles
    assert outline.headings[7:9] == ["The chapter", outline.headings[8]]
    assert text.index('<details class="chapter">') > text.index("Cut rows")
    assert outline.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.all("meta")
    anchors = {attrs["id"] for _, attrs in outline.tags if "id" in attrs}
    links = {attrs["href"] for attrs in outline.all("a") if attrs["href"].startswith("#")}
    assert len(links) == 5 and {link[1:] for link in links} <= anchors


def test_an_exercise_says_points_message_answer_and_the_way(handed_back):
    key = handed_back.key(TOY)
    (kind, first), *_, (last_kind, last) = items(page(handed_back, "student-003"))
    assert kind == "wrong" and "0 of 1 point<" in first and "tokens" in first and "<pre>" in first
    assert key["tokens"].fill(key["tokens"].why) in first
    assert last_kind == "hand" and "3.5 of 4 points" in last and "with +0.5 extra" in last
    assert "Nearly: see the <em>order</em>." in last
    blank = [text for kind, text in items(page(handed_back, "student-003")) if kind == "blank"]
    assert not any("No response." in text for text in blank), "not answered is said once"
    right = [text for kind, text in items(page(handed_back, "student-001")) if kind == "right"]
    assert len(right) == 5 and not any("The way to the answer" in text for text in right)  # the message has it


def test_the_chapter_shows_no_points_that_a_teacher_has_changed():
    cell, printed = plain_cell("code", "2", "parts", 3, grade=True, locked=True), new_output("stream", text="two")
    number = new_output("execute_result", {"text/plain": "2"}, execution_count=1)
    for score, shown in ((2.0, True), (2.5, False)):
        cell.outputs, cell.metadata.nbgrader.score = [printed, number], score
        _leave_out_old_points(nbformat.v4.new_notebook(cells=[cell]))
        assert cell.outputs == ([printed, number] if shown else [printed])


def test_lateness_and_its_penalty_are_said(handed_back):
    text = page(handed_back, "student-001")
    assert "0 of 9 points" in text and "9 earned, less 9 for lateness" in text
    assert "Handed in 2030-01-03 00:00 UTC, due 2030-01-01 00:00 UTC: 2 days late." in text


def test_what_could_not_be_read_gives_no_answer_away(handed_back):
    text = page(handed_back, "student-002")
    assert "This was not graded:" in text and "could not be read, ask for it again" in text
    assert "The way to the answer" not in text and "Your answer" not in text


def test_an_assignment_without_a_key_has_its_page_too(handed_back):
    text = page(handed_back, "student-001", PLAIN, "problem")
    (kind, test), (essay_kind, essay) = items(text)
    assert kind == "wrong" and "Squares" in test and "0 of 2 points" in test and "AssertionError" in test
    assert essay_kind == "hand" and "In words" in essay and "waits for your teacher" in essay and "think so" in essay


@pytest.mark.parametrize(
    ("student", "chapter", "notebook"), [("student-003", TOY, TOY), ("student-001", PLAIN, "problem")]
)
def test_nothing_in_a_page_runs(handed_back, student, chapter, notebook):
    outline = Outline(page(handed_back, student, chapter, notebook))
    assert not {tag for tag, _ in outline.tags} & {"script", "iframe", "object", "embed", "form", "svg", "link", "base"}
    assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on")]
    (policy,) = (attrs["content"] for attrs in outline.all("meta") if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("command", ["generate_feedback", "formgrader"])
def test_nbgraders_command_and_formgraders_button_make_the_same_page(handed_back, command, monkeypatch):
    monkeypatch.chdir(handed_back.root)
    before = page(handed_back, "student-003")
    shutil.rmtree(handed_back.feedback / "student-003")
    if command == "formgrader":
        assert handed_back.api.generate_feedback(TOY, force=False)["success"]
    else:
        assert handed_back.api.generate_feedback(TOY, "student-003")["success"]
    assert page(handed_back, "student-003") == before


@pytest.mark.parametrize(("line", "given"), [
    ('c.Release.feedback = "check"', False), ('c.Release.feedback = "form"', False),
    ('c.Release.feedback = "form"\nc.FeedbackExporter.why = True', True), ("c.FeedbackExporter.why = False", False),
])  # fmt: skip
def test_the_course_decides_whether_the_way_is_given(handed_back, tmp_path, monkeypatch, line, given):
    root = tmp_path / "course"
    shutil.copytree(handed_back.root, root)
    with (root / CONFIG_FILE).open("a") as config:
        config.write(f"{line}\n")
    monkeypatch.chdir(root)
    assert main(["feedback", TOY]) == 0
    assert ("The way to the answer" in page(Course(root), "student-003")) is given


def test_the_page_lands_in_the_learners_list(course, tmp_path, monkeypatch):
    """nbgrader's own exchange, there and back."""
    monkeypatch.setenv("NBGRADER_EXCHANGE", str(tmp_path / "exchange"))
    nbgrader = partial(run_nbgrader, course.root)
    nbgrader("release_assignment", TOY)
    nbgrader("fetch_assignment", TOY)
    nbgrader("submit", TOY)
    nbgrader("collect", TOY)
    assert main(["grade", "--jobs", "0"]) == 0
    nbgrader("generate_feedback", TOY)
    nbgrader("release_feedback", TOY)
    assert "feedback ready to be fetched" in nbgrader("list", "--inbound")
    nbgrader("fetch_feedback", TOY)
    assert "feedback already fetched" in nbgrader("list", "--inbound")
    (fetched,) = course.root.glob(f"{course.id}/{TOY}/feedback/*/{TOY}.html")
    assert [kind for kind, _ in items(fetched.read_text(encoding="utf-8"))] == ["blank"] * 5


def test_a_picture_keeps_its_alt_text_and_nothing_else_of_its_metadata():
    picture = {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}
    for alt in ("Two cats", 'x" onerror="alert(1)'):
        output = new_output("display_data", picture, metadata={"image/png": {"alt": alt}})
        (attrs,) = Outline(cell_html(new_code_cell("show()", outputs=[output]))).all("img")
        assert attrs == {"src": "data:image/png;base64,iVBORw0KGgo=", "alt": alt}


def test_a_drawing_is_shown_as_a_picture_in_which_nothing_runs():
    drawing = {"image/svg+xml": "<svg onload=alert(1)></svg>", "text/plain": "Two cats"}
    outline = Outline(cell_html(new_code_cell("show()", outputs=[rebuild("display_data", {"data": drawing})])))
    assert {tag for tag, _ in outline.tags} <= {"div", "pre", "span", "img"}
    (attrs,) = outline.all("img")
    assert attrs["src"].startswith("data:image/svg+xml;base64,") and attrs["alt"] == "Two cats"


@pytest.mark.parametrize("text", [
    "<script>alert(1)</script>", '<img src=x onerror="alert(1)">', '<a href="javascript:alert(1)">x</a>',
    '<a href=" data:text/html,<script>alert(1)</script>">x</a>', "<svg onload=alert(1)>", "<iframe src=//x></iframe>",
    '<img src="data:image/svg+xml,<svg onload=alert(1)>">', "<style>body{display:none}</style>",
    '<details ontoggle=alert(1) open>x</details>', '<form action="//x"><button>x</button></form>',
])  # fmt: skip
def test_html_that_acts_is_taken_out(text):
    for outline in map(Outline, (clean(text), markdown(text))):
        assert {tag for tag, _ in outline.tags} <= {"p", "a", "img", "details"}
        assert {name for _, attrs in outline.tags for name in attrs} <= {"open"}
