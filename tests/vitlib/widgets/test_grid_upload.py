"""The grid explorer with a picture of one's own: uploaded, or named by its path."""

import pytest

from tests.vitlib.widgets.test_grid import png, upload
from vitlib.widgets import grid_explorer
from vitlib.widgets.grid import LONGEST_SIDE


@pytest.fixture
def explorer():
    return grid_explorer()


def test_an_uploaded_picture_is_shown_and_stays_to_be_chosen(explorer):
    upload(explorer, "mine.png", png(90, 150))
    assert explorer.choice.value == "mine.png"
    assert explorer.sentence.startswith("90 × 150 pixels in patches of 64 × 64")
    explorer.choice.value = "coffee"
    assert explorer.sentence.startswith("400 × 600 pixels")
    explorer.choice.value = "mine.png"
    assert explorer.sentence.startswith("90 × 150 pixels")
    explorer.choice.value = "coffee"
    upload(explorer, "mine.png", png(90, 150))  # the same file again
    assert explorer.sentence.startswith("90 × 150 pixels")
    upload(explorer, "mine.png", png(64, 64))  # the file has changed since
    assert explorer.sentence.startswith("64 × 64 pixels")


def test_a_large_upload_is_shrunk_and_it_says_so(explorer):
    upload(explorer, "wide.png", png(300, 2 * LONGEST_SIDE))
    assert explorer.sentence.startswith("150 × 2048 pixels")
    assert "wide.png is 300 × 4096 pixels: shrunk to 150 × 2048 to stay quick." in explorer.notice.value
    explorer.patch_height.value = 32
    assert explorer.notice.value == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"dear diary", "notes.txt is no picture that can be read; save it as one of PNG, JPEG"),
        ("torn.png", png(64, 64)[:3000], "torn.png is damaged"),
        ("<b>.png", b"", "&lt;b&gt;.png is no picture"),
    ],
)
def test_a_bad_upload_gets_one_clear_line_and_the_old_picture_stays(explorer, name, content, message):
    explorer.choice.value = "chelsea"
    before = explorer.canvas.value
    upload(explorer, name, content)
    assert message in explorer.notice.value and "The picture that was shown stays." in explorer.notice.value
    assert explorer.canvas.value == before and explorer.choice.value == "chelsea"
    upload(explorer, "mine.png", png(64, 64))
    assert explorer.notice.value == "" and explorer.choice.value == "mine.png"


def test_a_picture_by_its_path(tmp_path):
    path = tmp_path / "mine.png"
    path.write_bytes(png(50, 70))
    explorer = grid_explorer(str(path), patch=10)
    assert explorer.sentence.startswith("50 × 70 pixels in patches of 10 × 10: 5 rows × 7 columns")
    assert explorer.choice.options[0] == str(path)
