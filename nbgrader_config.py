"""The course as nbgrader sees it: read by the command line, by NbGraderAPI and by JupyterLab's extensions."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

from autograde.course.plugins import GRADING_STEPS, RELEASE_STEPS, SubmissionExporter

c = get_config()  # traitlets, which runs this file, provides the name

course = Path(__file__).resolve().parent
run = course / "gradebook"  # one course run, git-ignored
# Where learners fetch and submit: outside the course, in which they have no business. On a machine that a class shares,
# make nbgrader's own folder (sudo mkdir -m 777 -p /usr/local/share/nbgrader/exchange), or name another one here.
shared = Path("/usr/local/share/nbgrader/exchange")
place = os.environ.get("NBGRADER_EXCHANGE", shared if shared.is_dir() else "~/.local/share/nbgrader/exchange")
exchange = Path(place).expanduser()

c.CourseDirectory.course_id = "vision-transformers"
c.CourseDirectory.root = str(course)
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "chapters"
c.CourseDirectory.submitted_directory = "gradebook/submitted"
c.CourseDirectory.autograded_directory = "gradebook/autograded"
c.CourseDirectory.feedback_directory = "gradebook/feedback"
c.CourseDirectory.solution_directory = "gradebook/solution"
c.CourseDirectory.source_with_tests_directory = "gradebook/source_with_tests"
# For a gradebook on a PostgreSQL server: "postgresql://user:password@host/database", and pip install "psycopg[binary]"
c.CourseDirectory.db_url = f"sqlite:///{run / 'gradebook.db'}"
# key.py: the answers never travel next to a learner's notebook
c.CourseDirectory.ignore = ["key.py", "__pycache__", "*.pyc", ".ipynb_checkpoints", "feedback"]

# Release, fetch, submit and collect on this machine. A fetched chapter lands in vision-transformers/, beside
# chapters/: nbgrader reads its configuration from the folder it fetches into, and that has to be this one.
c.Exchange.root = str(exchange)
c.Exchange.cache = str(run / "cache")
c.Exchange.path_includes_course = True

# nbgrader's own steps, single ones replaced by ours: formgrader, its command line and `autograde` take the same path.
c.GenerateAssignment.preprocessors = [*RELEASE_STEPS]
c.Autograde.exporter_class = SubmissionExporter
c.Autograde.autograde_preprocessors = [*GRADING_STEPS]
c.GenerateFeedback.exporter_class = "autograde.course.feedback_page.FeedbackExporter"
c.GenerateFeedback.preprocessors = ["autograde.course.feedback_page.GetMarks"]

# How chapters are released; all that can be set, and the defaults, are in autograde/course/settings.py, class Release.
# c.Release.variants = True  # every student gets numbers of their own
# c.Release.feedback = "form"  # `check` looks at the form of an answer only; the verdict comes with the marks

# Whether a feedback page gives the way to an answer that was not right. By default only with worked solutions above.
# c.FeedbackExporter.why = False

# Where formgrader is, for the links of the class report.
# c.Report.formgrader = "http://localhost:8888/formgrader"

# What a submission may use; all that can be set, and the defaults, are in autograde/engine/limits.py, class Limits.
# c.Limits.cell_seconds = 60  # for one cell, or for one exercise's answer
# c.Limits.memory = 4096  # MiB

# formgrader's list of settings would show the server's token.
c.FormgradeExtension.debug = False

# Submissions and marks are the teacher's alone.
run.mkdir(mode=0o700, exist_ok=True)
# formgrader warns while the exchange is missing, and every learner must be able to write to it.
with contextlib.suppress(OSError):  # not here, or not by this user: `autograde doctor` says what to do
    if not exchange.is_dir():
        exchange.mkdir(parents=True)
        exchange.chmod(0o777)

# nbgrader upgrades its gradebook by running `alembic`: let it find the one beside this Python.
if shutil.which("alembic") is None:
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
