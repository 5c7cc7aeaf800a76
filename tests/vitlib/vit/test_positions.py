"""The row of tokens, the waves, and learned positions on another grid."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from vitlib.vit.config import ViTConfig
from vitlib.vit.positions import token_row
from vitlib.vit.resize import CONVENTIONS, resize_positions
from vitlib.vit.sincos import fixed_positions, sincos_1d, sincos_2d

# The row


def test_cls_comes_first_and_every_token_gets_its_position() -> None:
    patches, cls = torch.randn(2, 4, 8), torch.randn(1, 1, 8)
    positions = torch.randn(1, 5, 8)
    row = token_row(patches, positions, cls)
    assert torch.equal(row[:, 0], (cls[0, 0] + positions[0, 0]).expand(2, 8))
    assert torch.equal(row[:, 1:], patches + positions[:, 1:])


@pytest.mark.parametrize("rows", [0, 1, 3])  # of the prefix: none (DeiT III), CLS alone (DINOv2), all
def test_prefix_tokens_without_a_row_get_no_position(rows: int) -> None:
    patches, cls, registers = torch.randn(2, 4, 8), torch.randn(1, 1, 8), torch.randn(1, 2, 8)
    positions = torch.randn(1, rows + 4, 8)
    row = token_row(patches, positions, cls, registers)
    prefix = torch.cat([cls, registers], dim=1)[0]
    prefix[:rows] += positions[0, :rows]
    assert torch.equal(row[1, :3], prefix)
    assert torch.equal(row[:, 3:], patches + positions[:, rows:])


def test_without_prefix_and_positions_the_row_is_the_patches() -> None:
    patches = torch.randn(2, 4, 8)
    assert torch.equal(token_row(patches, None, None, None), patches)


@pytest.mark.parametrize("rows", [3, 6])
def test_positions_of_another_grid_are_refused(rows: int) -> None:
    words = f"{rows} position rows for 4 patches and 1 tokens before them: expected 4 to 5"
    with pytest.raises(ValueError, match=words):
        token_row(torch.zeros(1, 4, 8), torch.zeros(1, rows, 8), torch.zeros(1, 1, 8))


# The waves


def test_sincos_1d_is_the_formula() -> None:
    positions = sincos_1d(n=5, width=6)[0]
    for i in range(5):
        for k in range(3):
            angle = i / 10_000 ** (2 * k / 6)
            assert positions[i, 2 * k].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert positions[i, 2 * k + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_sincos_2d_is_the_formula() -> None:
    positions = sincos_2d((3, 5), width=16)[0].unflatten(0, (3, 5))
    for y in range(3):
        for x in range(5):
            for k in range(4):
                frequency = 10_000 ** (-k / 3)
                waves = [wave(place * frequency) for place in (x, y) for wave in (math.sin, math.cos)]
                assert positions[y, x, k::4].tolist() == pytest.approx(waves, abs=1e-6)


@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 4))
def test_the_similarity_of_two_waves_depends_on_their_distance_alone(rows: int, columns: int, quarter: int) -> None:
    positions = sincos_2d((rows, columns), width=4 * quarter)[0]
    similarity = (positions @ positions.T).reshape(rows, columns, rows, columns)
    torch.testing.assert_close(similarity[:-1, :-1, :-1, :-1], similarity[1:, 1:, 1:, 1:])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sincos_1d(4, width=7), "width is 7: sin-cos positions need pairs; choose 8"),
        (lambda: sincos_2d((2, 2), width=90), "width is 90: 2D sin-cos positions need quarters; choose 92"),
    ],
)
def test_a_width_that_the_waves_do_not_divide_is_refused(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        make()


def test_a_configuration_knows_its_waves() -> None:
    config = ViTConfig(image_size=(8, 12), patch_size=4, embed_dim=8, num_heads=2, positions="sincos2d")
    assert torch.equal(fixed_positions(config), sincos_2d((2, 3), 8))


# Another grid


def keys(t: float, a: float) -> float:
    """The cubic kernel of Keys, 1981."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def centres(length: int, to: int, convention: str) -> list[float]:
    """Where, in units of the old grid, each new row reads it."""
    if convention in ("torchvision", "google"):  # corner on corner
        return [i * (length - 1) / max(to - 1, 1) for i in range(to)]
    offset = 0.1 if convention == "dinov2" else 0.0
    return [(i + 0.5) * length / (to + offset) - 0.5 for i in range(to)]


def blend(length: int, to: int, convention: str) -> Tensor:
    """[to, length]: how much of each old row goes into each new one."""
    weights = torch.zeros(to, length, dtype=torch.float64)
    for new, x in enumerate(centres(length, to, convention)):
        if convention == "timm":  # the kernel widens where the grid shrinks, and is cut off at the edges
            wide = max(length / to, 1.0)
            weights[new] = torch.tensor([keys((x - k) / wide, a=-0.5) for k in range(length)])
            weights[new] /= weights[new].sum()
            continue
        for k in range(math.floor(x) - 1, math.floor(x) + 3):  # the edges are repeated
            weight = max(0.0, 1 - abs(x - k)) if convention == "google" else keys(x - k, a=-0.75)
            weights[new, min(max(k, 0), length - 1)] += weight
    return weights


grids = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(grids, grids, st.sampled_from(list(CONVENTIONS)), st.integers(0, 2))
def test_each_convention_blends_as_written_above(
    old: tuple[int, int], new: tuple[int, int], convention: str, prefix: int
) -> None:
    assume(old != new)
    positions = torch.randn(1, prefix + old[0] * old[1], 3, dtype=torch.float64)
    resized = resize_positions(positions, old, new, convention, prefix)
    y, x = (blend(of, to, convention) for of, to in zip(old, new, strict=True))
    expected = torch.einsum("Yy,Xx,yxd->YXd", y, x, positions[0, prefix:].unflatten(0, old)).flatten(0, 1)
    assert torch.equal(resized[:, :prefix], positions[:, :prefix])
    torch.testing.assert_close(resized[0, prefix:], expected, rtol=0, atol=1e-5)


def test_google_is_scipys_zoom() -> None:
    # scipy 1.17.1: ndimage.zoom(rows, 7 / 4, order=1) and ndimage.zoom(columns, 9 / 6, order=1); for a product of the
    # two it gives the product of the answers
    rows, zoomed_rows = [0.0, 1, 4, 9], [0.0, 0.5, 1, 2.5, 4, 6.5, 9]
    columns, zoomed_columns = [1.0, 2, 4, 8, 16, 32], [1.0, 1.625, 2.5, 3.75, 6, 9, 14, 22, 32]
    positions = torch.outer(torch.tensor(rows), torch.tensor(columns)).reshape(1, 4 * 6, 1)
    ours = resize_positions(positions, (4, 6), (7, 9), "google", prefix=0)
    theirs = torch.outer(torch.tensor(zoomed_rows), torch.tensor(zoomed_columns)).reshape(1, 7 * 9, 1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)  # of numbers up to 288


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_grid_of_the_same_size_changes_nothing(convention: str) -> None:
    positions = torch.randn(1, 7, 4)
    assert resize_positions(positions, (2, 3), (2, 3), convention) is positions


def test_the_conventions_differ_from_one_another() -> None:
    positions = torch.randn(1, 16 * 16, 8).cumsum(dim=1)
    resized = [resize_positions(positions, (16, 16), (10, 12), name, prefix=0) for name in CONVENTIONS]
    assert all(not torch.allclose(a, b, rtol=1e-2) for a, b in pairwise(resized))


def test_half_precision_comes_back_as_it_went() -> None:
    positions = torch.randn(1, 17, 4, dtype=torch.bfloat16)
    assert resize_positions(positions, (4, 4), (6, 5)).dtype == torch.bfloat16


def test_positions_that_do_not_fit_their_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"there are 196 position rows: expected 1 \+ 14·14"):
        resize_positions(torch.zeros(1, 196, 8), (14, 14), (7, 7))


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize("grid", [(0, 3), (3, -1), (3,)])
def test_a_grid_without_tokens_is_refused(grid) -> None:
    with pytest.raises(ValueError, match="to_grid is"):
        resize_positions(torch.zeros(1, 5, 8), (2, 2), grid)


def test_an_unknown_convention_is_refused(as_a_learner: None) -> None:
    with pytest.raises(ValueError, match="convention is 'keras': expected one of 'timm', 'hf'"):
        resize_positions(torch.zeros(1, 5, 8), (2, 2), (3, 3), "keras")  # type: ignore[arg-type]
