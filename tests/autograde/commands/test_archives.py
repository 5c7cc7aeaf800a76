"""An archive that is not to be trusted, damaged or empty is refused in a line."""

import stat
import zipfile

import pytest

from autograde.cli import main
from autograde.course import archive
from tests.autograde.commands.test_collect import NB, filed, make_zip
from tests.autograde.conftest import TOY


@pytest.mark.parametrize(
    "name", ["../evil_1_2_x.ipynb", "/evil_1_2_x.ipynb", "a/../../x.ipynb", "..\\x.ipynb", "C:\\x.ipynb"]
)
def test_a_name_that_leads_out_is_refused(course, capsys, name):
    make_zip(course.root / "in.zip", {f"ada_4711_1_{NB}": "ada", name: "evil"})
    assert main(["collect", "in.zip"]) == 1
    assert "leads out of it" in capsys.readouterr().err and filed(course) == {}


def test_links_are_refused_or_left_out(course, capsys):
    link = zipfile.ZipInfo(f"ada_4711_1_{NB}")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile("in.zip", "w") as made:
        made.writestr(link, str(course.solutions / TOY / "key.py"))
    assert main(["collect", "in.zip"]) == 1
    assert "is a link or a device" in capsys.readouterr().err and filed(course) == {}
    (course.root / "in").mkdir()
    (course.root / "in" / f"ada_4711_1_{NB}").symlink_to(course.solutions / TOY / "key.py")
    assert main(["collect", "in"]) == 0
    assert filed(course) == {}


def test_bombs_are_refused(course, capsys, monkeypatch):
    monkeypatch.setattr(archive, "CHECKED_FROM", 2**20)
    make_zip(course.root / "in.zip", {f"ada_4711_1_{NB}": "0" * 2**21})
    assert main(["collect", "in.zip"]) == 1
    assert "times its size" in capsys.readouterr().err
    monkeypatch.setattr(archive, "MAX_FILE", 2**20)
    assert main(["collect", "in.zip"]) == 1
    assert "at most 1 are read" in capsys.readouterr().err
    monkeypatch.setattr(archive, "MAX_FILES", 0)
    assert main(["collect", "in.zip"]) == 1
    assert "at most 0 are read" in capsys.readouterr().err
    assert filed(course) == {}


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 17])
def test_no_zip_is_said_in_a_line(course, capsys, content):
    (course.root / "in.zip").write_bytes(content)
    assert main(["collect", "in.zip"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_or_missing_or_empty_archive(course, capsys):
    make_zip(course.root / "in.zip", {f"ada_4711_1_{NB}": "ada" * 1000})
    data = bytearray((course.root / "in.zip").read_bytes())
    data[len(f"ada_4711_1_{NB}") + 32] ^= 0xFF
    (course.root / "in.zip").write_bytes(data)
    assert main(["collect", "in.zip"]) == 1
    assert main(["collect", "nowhere.zip"]) == 1
    (course.root / "empty").mkdir()
    assert main(["collect", "empty"]) == 0
    assert "0 learners" in capsys.readouterr().out
