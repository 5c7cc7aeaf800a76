"""What chapter 1 says of itself, and of the library, is so."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Code, Plain
from autograde.exercises.verdict import Status
from vitlib.data.samples import picture
from vitlib.vit import patches
from vitlib.vit.patches import PatchGrid

FOLDER = Path(__file__).parents[2] / "solutions" / "01-patch-grid"
KEY = load_key(FOLDER)
SMALL = st.integers(1, 4)


def test_the_notes_that_the_book_grew_out_of_are_covered_with_the_answers_that_they_give() -> None:
    answers = {
        "patch-tokens": 196,
        "eight-pixel-patches": 16,
        "eight-a-side": 64,
        "positions-after-embedding": 1,
        "only-convolutions": 0,
        "cls-with-head": 1,
        "image-to-tokens": 2,
        "oom-cure": 2,
    }
    for name, answer in answers.items():
        exercise = KEY[name]
        assert isinstance(exercise, Plain)
        assert exercise.right == answer, name


def everyones_numbers(name: str) -> list[Any]:
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 40
    return [SimpleNamespace(**variant.parameters) for variant in exercise.variants]


@pytest.mark.parametrize("name", ["patch-tokens", "eight-pixel-patches"])
def test_with_everyones_numbers_the_patches_fit_where_nothing_is_said_of_a_rest(name: str) -> None:
    for n in everyones_numbers(name):
        assert PatchGrid(n.side, n.side, n.patch).divides


def test_what_questions_and_messages_take_for_granted_holds_with_everyones_numbers() -> None:
    assert all(n.side % n.patch for n in everyones_numbers("leftover-corner"))


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


def function(name: str) -> Callable[..., Any]:
    """The right one."""
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise.reference


def refuse_tick_and_mark(name: str, wrong: Callable[..., Any]) -> None:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    assert not exercise.passes_examples(wrong)
    assert exercise.mark({"outcomes": exercise.run(wrong)}).status is not Status.RIGHT


@pytest.mark.parametrize(
    "refuses",
    [
        lambda height, width, patch: width % patch,
        lambda height, width, patch: height % patch,
        lambda height, width, patch: height % patch and width % patch,
        lambda height, width, patch: height * width % patch,
        lambda height, width, patch: height * width % patch**2,
        lambda height, width, patch: (height + width) % patch,
        lambda height, width, patch: height % patch != width % patch,
        lambda height, width, patch: max(height, width) % patch,
        lambda height, width, patch: min(height, width) % patch,
        lambda height, width, patch: height < patch or width < patch,
        lambda height, width, patch: height != width,
        lambda height, width, patch: height == width,
    ],
)
def test_one_test_for_two_sides_gets_no_tick(refuses: Callable[[int, int, int], object]) -> None:
    def count(height: int, width: int, patch: int) -> int:
        if refuses(height, width, patch):
            raise ValueError("does not divide")
        return (height // patch) * (width // patch)

    def cut(images: torch.Tensor, patch: int) -> torch.Tensor:
        count(*images.shape[2:], patch)
        rows, columns = (side // patch for side in images.shape[2:])
        return patches.patchify(images[:, :, : rows * patch, : columns * patch], patch)

    refuse_tick_and_mark("count-patches", count)
    refuse_tick_and_mark("patchify", cut)


@pytest.mark.parametrize(
    "refuses",
    [
        lambda count, rows, columns: count % rows,
        lambda count, rows, columns: count % columns,
        lambda count, rows, columns: count % (rows * columns),
        lambda count, rows, columns: count < rows * columns,
        lambda count, rows, columns: count > rows * columns,
        lambda count, rows, columns: count // rows != columns,
    ],
)
def test_tokens_of_another_grid_are_not_nearly_refused(refuses: Callable[[int, int, int], object]) -> None:
    right = function("unpatchify")

    def mend(tokens: torch.Tensor, height: int, width: int, patch: int) -> Any:
        if refuses(tokens.shape[1], height // patch, width // patch):
            raise ValueError("another grid")
        try:
            return right(tokens, height, width, patch)
        except ValueError as error:
            raise RuntimeError from error  # as torch's reshape says it

    refuse_tick_and_mark("unpatchify", mend)


def of_floats(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tensor: change(tensor) if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("name", ["patchify", "unpatchify"])
@pytest.mark.parametrize(
    "change",
    [
        of_floats(torch.round),
        of_floats(torch.abs),
        of_floats(torch.relu),
        of_floats(lambda pixels: pixels.to(torch.float16)),
        of_floats(lambda pixels: pixels.double()),
        lambda pixels: torch.tensor(pixels.tolist()),  # bytes become int64
        lambda pixels: pixels.long(),
        lambda pixels: pixels.float(),
        lambda pixels: pixels.to(torch.uint8),
        lambda pixels: pixels.numpy(),
        lambda pixels: pixels.tolist(),
        lambda pixels: pixels[:1],
        lambda pixels: pixels.sort(dim=-1).values,
    ],
)
def test_pixels_are_moved_and_never_changed(name: str, change: Callable[[torch.Tensor], Any]) -> None:
    refuse_tick_and_mark(name, lambda *arguments: change(function(name)(*arguments)))


def test_what_is_right_for_three_channels_at_most_gets_no_tick() -> None:
    refuse_tick_and_mark("patchify", lambda images, patch: function("patchify")(images[:, :3], patch))
    refuse_tick_and_mark("unpatchify", lambda tokens, *sizes: function("unpatchify")(tokens, *sizes)[:, :3])


def test_what_is_right_for_wide_pictures_only_gets_no_tick() -> None:
    def cut(images: torch.Tensor, patch: int) -> Any:
        turned = images.transpose(2, 3) if images.shape[2] > images.shape[3] else images
        return function("patchify")(turned, patch)

    def mend(tokens: torch.Tensor, height: int, width: int, patch: int) -> Any:
        images = function("unpatchify")(tokens, *sorted((height, width)), patch)
        return images.reshape(*images.shape[:2], height, width)

    refuse_tick_and_mark("patchify", cut)
    refuse_tick_and_mark("unpatchify", mend)


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
