"""`autograde doctor` through the command line: every fault has its line and its fix, and health is said too."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autograde.cli import main
from autograde.course.course import Course
from autograde.doctor import leaks, machine
from tests.autograde.conftest import TOY


@pytest.fixture
def told(course, capsys, monkeypatch):
    """Runs the doctor; returns its status and what it says."""
    course.solutions.chmod(0o700)
    (course.root / "gradebook").chmod(0o700)

    def ask() -> tuple[int, str]:
        capsys.readouterr()
        status = main(["doctor"])
        return status, capsys.readouterr().out

    return ask


def configure(course: Course, *lines: str) -> None:
    with (course.root / "nbgrader_config.py").open("a") as config:
        config.write("".join(f"{line}\n" for line in lines))


def test_a_healthy_course_is_said_to_be_one(told):
    assert told() == (0, "✓ nothing leaks, nothing is missing, every setting is read\n")
    assert told()[0] == 0


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        ("c.Exchange.rooot = '/srv'", "c.Exchange.rooot, which nothing reads", "write root"),
        ("c.Limit.memory = 4096", "c.Limit, which nothing reads", "write Limits"),
        ("c.Limits.memroy = 4096", "c.Limits.memroy, which nothing reads", "write memory"),
        ("c.Release.variant = True", "c.Release.variant, which nothing reads", "write variants"),
        ("c.Colour.of_the_sky = 'blue'", "c.Colour, which nothing reads", "take Colour out"),
        ("c.AssignLatePenalties.plugin_clas = ''", "c.AssignLatePenalties.plugin_clas", "write plugin_class"),
    ],
)
def test_a_setting_that_nothing_reads(course, told, line, what, fix):
    configure(course, line)
    status, said = told()
    assert status == 1 and what in said and f"    {fix}\n" in said


def test_settings_that_are_read_are_not_named(course, told):
    configure(
        course,
        "from tests.autograde.commands.test_due import APointADay",
        "c.AssignLatePenalties.plugin_class = APointADay",
        "c.ServerApp.port = 9000",
        "c.CourseDirectory.groupshared = False",
        "c.LimitOutput.max_lines = 500",
        "c.FeedbackExporter.why = False",
        "c.ClearSolutions.code_stub = {'python': 'pass'}",
    )
    assert told()[0] == 0


@pytest.mark.parametrize(("mode", "found"), [(0o755, True), (0o711, True), (0o700, False)])
def test_folders_that_others_can_read(course, told, monkeypatch, mode, found):
    """Where the folders above let others in; pytest's own do not."""
    monkeypatch.setattr(leaks, "_lets", lambda path, *bits, known=leaks._lets: path in above or known(path, *bits))
    above = [path for path in course.root.resolve().parents] + [course.root.resolve()]
    course.solutions.chmod(mode)
    (course.root / "gradebook").chmod(mode)
    status, said = told()
    assert (f"chmod 700 {course.solutions}" in said, f"chmod 700 {course.root / 'gradebook'}" in said) == (found, found)
    assert status == int(found)


def test_a_closed_folder_above_closes_all(tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    (tmp_path / "outer").chmod(0o700)
    assert not leaks.is_open(inner) and not leaks.is_open(tmp_path / "nowhere")


def test_the_exchange_belongs_outside(course, told):
    configure(course, f"c.Exchange.root = {str(course.root / 'gradebook' / 'exchange')!r}")
    (course.root / "gradebook" / "exchange").mkdir()
    status, said = told()
    assert status == 1 and "lies in the course" in said and "set c.Exchange.root" in said


def test_what_an_old_exchange_holds_is_named(course, told):
    (course.root / "gradebook" / "exchange" / course.id / "inbound" / "x").mkdir(parents=True)
    status, said = told()
    assert (status, "an old exchange lies in gradebook/exchange" in said) == (0, True)


@pytest.mark.parametrize("name", ["key.py", "sub/key.py"])
def test_a_key_among_the_chapters(course, told, name):
    path = course.released / TOY / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(course.solutions / TOY / "key.py", path)
    status, said = told()
    assert status == 1 and "key.py must stay in solutions/" in said and f"autograde release --force {TOY}" in said


@pytest.mark.parametrize("mark", ["### BEGIN HIDDEN TESTS", "### BEGIN SOLUTION", "=== BEGIN MARK SCHEME ==="])
def test_answers_in_a_released_notebook(course, told, mark):
    path = course.released / TOY / f"{TOY}.ipynb"
    path.write_text(path.read_text().replace("tokens = ...", f"{mark}\\ntokens = 16", 1))
    status, said = told()
    assert status == 1 and f"chapters/{TOY}" in said


def test_a_damaged_release_is_said(course, told):
    (course.released / TOY / f"{TOY}.ipynb").write_text("{")
    status, said = told()
    assert status == 1 and "cannot be read" in said and "Traceback" not in said


def test_marks_that_git_keeps(course, told):
    for arguments in (["init", "-q"], ["add", "-f", "gradebook/gradebook.db"]):
        subprocess.run(["git", *arguments], cwd=course.root, check=True)
    status, said = told()
    assert status == 1 and "git rm -r --cached gradebook" in said


def test_a_gradebook_that_is_none(course, told):
    (course.root / "gradebook" / "gradebook.db").write_bytes(b"no database" * 1000)
    status, said = told()
    assert status == 1 and "is damaged" in said and "put a backup" in said


def test_a_locked_gradebook(course, told):
    with sqlite3.connect(course.root / "gradebook" / "gradebook.db") as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        status, said = told()
    other.close()
    assert status == 1 and "cannot be opened: database is locked" in said


def test_a_machine_without_a_sandbox(course, told, monkeypatch):
    nothing = course.root / "bin"
    nothing.mkdir()
    (nothing / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(nothing))
    status, said = told()
    assert status == 1 and "sudo apt install bubblewrap" in said
    configure(course, "c.Limits.sandbox = False")
    status, said = told()
    assert (status, "with your rights" in said) == (0, True)


def test_a_missing_package_is_said_before_anything_needs_it(course, tmp_path):
    """In a process that finds no nbgrader, as where only the learner's part is installed."""
    script = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "nbgrader":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "nbgrader" else found(name, *rest)
from autograde.cli import main
sys.exit(main(["doctor"]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=course.root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "nbgrader cannot be imported\n    make setup" in done.stdout


def test_little_room_on_the_disk(course, told, monkeypatch):
    monkeypatch.setattr(machine, "_GIB", 2**60)
    status, said = told()
    assert status == 1 and "    make room\n" in said


def test_extensions_that_are_off(course, told, monkeypatch, tmp_path):
    own = tmp_path / "jupyter"
    own.mkdir()
    (own / "jupyter_server_config.json").write_text(
        '{"ServerApp": {"jpserver_extensions": {"nbgrader.server_extensions.formgrader": false}}}'
    )
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(own))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "no")
    status, said = told()
    assert status == 1 and "jupyter server extension enable nbgrader.server_extensions.formgrader" in said


@pytest.mark.parametrize("line", ["c.Limits.memory = (", "c.Limits.memory = nothing", "import nowhere"])
def test_a_configuration_that_cannot_be_read_is_said_in_a_line(course, capsys, line):
    number = len((course.root / "nbgrader_config.py").read_text().splitlines()) + 1
    configure(course, line)
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and f"nbgrader_config.py, line {number}: " in said.err


def test_a_fresh_clone_before_any_release(course, told):
    shutil.rmtree(course.root / "gradebook")
    shutil.rmtree(course.released)
    assert told()[0] == 0
    assert oct((course.root / "gradebook").stat().st_mode & 0o777) == "0o700"


def test_what_commands_write_is_private(course):
    (course.root / "gradebook").chmod(0o755)  # as an earlier version made it
    assert main(["simulate", "1"]) == main(["grade", "--jobs", "1"]) == main(["feedback"]) == main(["report"]) == 0
    assert main(["export"]) == 0
    written = [path for path in (course.root / "gradebook").rglob("*") if path.is_file()]
    new = [path for path in written if "released" not in path.parts and path.name != "gradebook.db"]
    assert {"report.html", "marks.csv", "marks-csv.csv", f"{TOY}.html", f"{TOY}.ipynb"} <= {path.name for path in new}
    open_ones = [path for path in new if path.stat().st_mode & 0o077 and not closed_above(path, course.root)]
    assert open_ones == []


def closed_above(path: Path, root: Path) -> bool:
    return any(parent.stat().st_mode & 0o077 == 0 for parent in path.parents if parent.is_relative_to(root))
