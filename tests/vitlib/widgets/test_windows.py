"""The window explorer: every control over its range, Swin's windows as it shows them, and what is left of it."""

import base64
import html
import io
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from vitlib.backbones.windows import WindowAttention, Windows
from vitlib.data.samples import PICTURES
from vitlib.widgets.windows import BLOCKS, GRIDS, WindowExplorer, window_explorer, windows_of
from vitlib.widgets.windows_view import APART, ATTENDS, ELSEWHERE, attends, borders, panels_html, reach, states


@pytest.fixture
def explorer() -> WindowExplorer:
    return window_explorer(grid=8, window=4)


def words(explorer: WindowExplorer) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", explorer.words.value)).split())


def agrees(explorer: WindowExplorer) -> bool:
    """What is drawn and said belongs to what the controls say."""
    view, canvas = explorer.view, explorer.canvas
    assert (view.plain.rows, view.plain.columns) == (canvas.rows, canvas.columns) == (explorer.grid.value,) * 2
    assert (view.plain.window, view.shifted.shift) == (explorer.window.value, explorer.shift.value)
    assert (view.token + 1, view.blocks) == (canvas.chosen, explorer.blocks.value)
    assert canvas.html == panels_html(view) and canvas.words == explorer.sentence
    assert explorer.sentence in words(explorer)
    assert all(len(panel["states"]) == view.tokens for panel in view.panels)
    return True


# what it shows is what the library does


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    window = draw(st.integers(2, 4))
    rows, columns = (window * draw(st.integers(1, 3)) for _ in range(2))
    return Windows(rows, columns, window, draw(st.integers(0, window - 1)))


@settings(deadline=None)
@given(windows())
def test_a_token_attends_to_what_has_a_weight_in_swins_attention(w: Windows) -> None:
    weights = WindowAttention(4, 1, w).weights(torch.randn(1, w.rows * w.columns, 4))[0, 0]
    assert torch.equal(attends(w), weights > 0)


@settings(deadline=None, max_examples=25)
@given(w=windows(), blocks=st.integers(1, 3), place=st.floats(0, 0.99))
def test_what_can_have_reached_a_token_is_what_its_gradient_reaches(w: Windows, blocks: int, place: float) -> None:
    plain, tokens = Windows(w.rows, w.columns, w.window), w.rows * w.columns
    token = int(place * tokens)
    model = nn.Sequential(*(WindowAttention(4, 1, (plain, w)[i % 2]) for i in range(blocks))).double()
    x = torch.randn(1, tokens, 4, dtype=torch.float64, requires_grad=True)
    model(x)[0, token].sum().backward()
    assert x.grad is not None
    assert torch.equal(reach(plain, w, token, blocks), x.grad[0].abs().sum(dim=-1) > 0)


@given(windows(), st.floats(0, 0.99))
def test_the_states_part_the_window_into_what_is_attended_to_and_what_is_masked(w: Windows, place: float) -> None:
    token = int(place * w.rows * w.columns)
    state = states(w, token)
    assert state[token] == ATTENDS
    assert (state != ELSEWHERE).sum() == w.area
    assert w.shift or not (state == APART).any()


def test_borders_lie_where_tokens_of_different_windows_meet() -> None:
    assert borders(Windows(4, 6, window=2)) == [[2, 0, 2, 4], [4, 0, 4, 4], [0, 2, 6, 2]]
    assert borders(Windows(4, 4, window=4)) == []
    assert borders(Windows(4, 4, window=4, shift=1)) == [[1, 0, 1, 4], [0, 1, 4, 1]]


# every control over its range


def test_every_grid_window_and_number_of_blocks(explorer: WindowExplorer) -> None:
    for grid in GRIDS:
        explorer.grid.value = grid
        assert tuple(explorer.window.options) == tuple(windows_of(grid)) and agrees(explorer)
        for window in windows_of(grid):
            explorer.window.value = window
            assert explorer.shift.max == window - 1 and explorer.shift.value == window // 2 and agrees(explorer)
            for blocks in range(1, BLOCKS + 1):
                explorer.blocks.value = blocks
                assert agrees(explorer)


def test_every_shift_and_token(explorer: WindowExplorer) -> None:
    for shift in range(4):
        explorer.shift.value = shift
        for token in range(1, 65):
            explorer.canvas.chosen = token  # what the browser sends
            assert agrees(explorer)
            row, column = divmod(token - 1, 8)
            assert f"Token {token} (row {row + 1}, column {column + 1}) attends" in words(explorer)


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_shown_square(name: str, explorer: WindowExplorer) -> None:
    explorer.choice.value = name
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', explorer.canvas.html)
    sizes = {Image.open(io.BytesIO(base64.b64decode(data))).size for data in found}
    assert len(found) == 3 and sizes == {(288, 288)} and agrees(explorer)


def test_another_grid_keeps_the_place_and_the_nearest_window(explorer: WindowExplorer) -> None:
    explorer.canvas.chosen = 2 * 8 + 6 + 1  # a quarter down, three quarters to the right
    explorer.window.value = 8
    explorer.grid.value = 24
    assert (explorer.canvas.chosen, explorer.window.value) == (6 * 24 + 18 + 1, 8)
    explorer.grid.value = 12
    assert (explorer.canvas.chosen, explorer.window.value) == (3 * 12 + 9 + 1, 6) and agrees(explorer)


# what it says


def test_in_the_corner_the_mask_is_named(explorer: WindowExplorer) -> None:
    explorer.canvas.chosen = 1
    said = "In a shifted block it attends to 4: 12 more roll into its window from the opposite edge, and the mask keeps"
    assert said in words(explorer) and explorer.view.panels[1]["title"].endswith("orange: masked")
    explorer.canvas.chosen = 3 * 8 + 3 + 1
    said = "it attends to the 16 of a window that lies across the old borders. After 2 blocks it can know of 64 of 64"
    assert said in words(explorer) and "orange" not in explorer.view.panels[1]["title"]


def test_a_click_in_any_of_the_pictures_chooses_a_token(explorer: WindowExplorer) -> None:
    for panel, token in enumerate((1, 30, 64)):
        explorer.canvas._handle_custom_msg({"panel": panel, "token": token}, None)
        assert explorer.view.token == token - 1 and agrees(explorer)


def test_what_is_pale_and_what_is_struck_out_does_not_reach_it(explorer: WindowExplorer) -> None:
    explorer.canvas.chosen = 1
    for panel, markup in zip(explorer.view.panels, explorer.canvas.html.split("data-panel=")[1:], strict=True):
        drawn = re.findall(
            r'<path d="([^"]*)" (?:fill="white"|fill="#E69F00"|stroke="black" stroke-width=".1")', markup
        )
        squares = [{(int(y), int(x)) for x, y in re.findall(r"M(\d+) (\d+)", path)} for path in drawn]
        states = [divmod(token, 8) for token, state in enumerate(panel["states"]) if state == ELSEWHERE]
        masked = [divmod(token, 8) for token, state in enumerate(panel["states"]) if state == APART]
        assert squares == [set(states), set(masked), set(masked)]


def test_without_a_shift_nothing_more_reaches_it(explorer: WindowExplorer) -> None:
    explorer.shift.value, explorer.blocks.value = 0, BLOCKS
    assert "With shift 0 the next block has the same windows" in words(explorer)
    assert "After 8 blocks it can know of 16 of 64 tokens, 25 %" in words(explorer)


def test_the_cost_of_windows_and_of_all_pairs(explorer: WindowExplorer) -> None:
    assert "computes 1,024 scores for a picture, not 4,096: 4 times fewer" in words(explorer)
    explorer.window.value = 8
    assert "as many: one window is the whole grid" in words(explorer)


# the edges


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 10}, "grid is 10: expected one of 8, 12, 16, 24"),
        ({"grid": 12, "window": 5}, "window is 5: a grid of 12 takes 2, 3, 4, 6, 12"),
        ({"window": 4, "shift": 4}, "shift is 4: expected 0 to 3"),
        ({"blocks": 0}, "blocks is 0: expected 1 to 8"),
    ],
)
def test_it_cannot_be_opened_on_what_it_does_not_offer(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        window_explorer(**arguments)


def test_a_picture_by_its_path(tmp_path) -> None:
    path = tmp_path / "mine.png"
    Image.new("RGB", (70, 50), "red").save(path)
    assert window_explorer(str(path)).choice.options[0] == str(path)
