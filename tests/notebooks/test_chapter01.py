"""What chapter 1 says of itself, and of the library, is so."""

from pathlib import Path

import nbformat
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograde.exercises import Plain
from autograde.key import load_key
from vitlib import patches
from vitlib.data import picture
from vitlib.patches import PatchGrid

FOLDER = Path(__file__).parents[2] / "solutions" / "01-patch-grid"
KEY = load_key(FOLDER)
CELLS = {cell.id: cell for cell in nbformat.read(FOLDER / "01-patch-grid.ipynb", as_version=4).cells}
SMALL = st.integers(1, 4)


def test_the_title_counts_exercises_minutes_and_points() -> None:
    exercises = KEY.exercises.values()
    minutes, points = sum(e.minutes for e in exercises), sum(e.points for e in exercises)
    claim = f"{len(exercises)} exercises take {minutes} of these minutes and give {points:g} points"
    assert claim in CELLS["title"].source


def test_the_notes_that_the_book_grew_out_of_are_covered_with_the_answers_that_they_give() -> None:
    answers = {
        "patch-tokens": 196, "large-patches": 4, "eight-pixel-patches": 16, "eight-a-side": 64,
        "positions-after-embedding": 1, "only-convolutions": 0, "cls-with-head": 1,
        "image-to-tokens": 2, "oom-cure": 2, "fewer-tokens": 1,
    }
    for name, answer in answers.items():
        exercise = KEY[name]
        assert isinstance(exercise, Plain)
        assert exercise.right == answer, name


@given(batch=SMALL, channels=SMALL, rows=SMALL, columns=SMALL, patch=SMALL)
def test_what_learners_write_is_what_the_library_does(
    batch: int, channels: int, rows: int, columns: int, patch: int
) -> None:
    shape = batch, channels, rows * patch, columns * patch
    images = torch.randperm(batch * channels * rows * columns * patch**2).reshape(shape)
    count, cut, mend = (KEY[name].reference for name in ("count-patches", "patchify", "unpatchify"))
    grid = PatchGrid(*shape[2:], patch)
    tokens = cut(images, patch)
    assert count(*shape[2:], patch) == grid.tokens == tokens.shape[1]
    assert torch.equal(tokens, patches.patchify(images, patch))
    assert torch.equal(mend(tokens, *shape[2:], patch), images)


def test_the_explorers_puzzles_have_the_answers_that_they_promise() -> None:
    side = picture("retina").shape[1]
    assert len([patch for patch in range(14, 21) if side % patch == 0]) == 1
    height, width = picture("chelsea").shape[1:]
    doubled = [
        patch
        for patch in range(1, 129)
        if -(-height // patch) * -(-width // patch) == 2 * (height // patch) * (width // patch)
    ]
    assert doubled


def test_every_picture_can_be_read_aloud() -> None:
    pictures = [
        (cell.id, output.metadata.get(kind, {}))
        for cell in CELLS.values()
        for output in cell.get("outputs", [])
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]
    assert len(pictures) >= 12
    for name, metadata in pictures:
        assert len(metadata.get("alt", "")) > 40, name
