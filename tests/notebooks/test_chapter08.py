"""What chapter 8 says of itself, of other backbones and of the library, is so."""

import ast
import builtins
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autograde.authoring.key import load_key
from autograde.exercises import Choice, Code, Plain
from vitlib import create
from vitlib.backbones.convnext import ConvNeXtBlock
from vitlib.backbones.hybrid import ConvStem
from vitlib.backbones.swin import PatchMerging
from vitlib.backbones.windows import WindowAttention, Windows
from vitlib.cost import Run, cost
from vitlib.cost.budget import config_of
from vitlib.widgets.windows_view import reach

FOLDER = Path(__file__).parents[2] / "solutions" / "08-backbones"
KEY = load_key(FOLDER)
CELLS = {cell.id: cell for cell in nbformat.read(FOLDER / "08-backbones.ipynb", as_version=4).cells}
SMALL = st.integers(1, 4)


def code(name: str) -> Callable[..., Tensor]:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise.reference


def everyones(name: str) -> list[tuple[Any, Any]]:
    """The parameters of some variants, and their answers."""
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 15
    some = exercise.variants[:: max(1, len(exercise.variants) // 20)]
    return [(SimpleNamespace(**variant.parameters), variant.value(variant.answer)) for variant in some]


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    window = draw(SMALL)
    rows, columns = (window * draw(st.integers(1, 3)) for _ in range(2))
    return Windows(rows, columns, window, draw(st.integers(0, window - 1)))


# the functions that learners write


@settings(deadline=None)
@given(w=windows(), batch=SMALL, width=SMALL)
def test_the_windows_that_learners_cut_are_the_librarys(w: Windows, batch: int, width: int) -> None:
    x = torch.randn(batch, w.rows, w.columns, width)
    rolled = x.roll((-w.shift, -w.shift), dims=(1, 2))
    assert torch.equal(code("window-partition")(rolled, w.window), w.cut(x.flatten(1, 2)))


@settings(deadline=None)
@given(windows())
def test_the_mask_that_learners_make_is_the_librarys(w: Windows) -> None:
    assert torch.equal(code("may-attend")(w.rows, w.columns, w.window, w.shift), ~w.masked())


@settings(deadline=None)
@given(rows=SMALL, columns=SMALL, batch=SMALL, width=SMALL)
def test_the_merging_that_learners_write_stands_in_the_librarys(
    rows: int, columns: int, batch: int, width: int
) -> None:
    layer = PatchMerging((2 * rows, 2 * columns), width)
    x = torch.randn(batch, 2 * rows, 2 * columns, width)
    merged = layer.reduction(layer.norm(code("merge-patches")(x))).flatten(1, 2)
    torch.testing.assert_close(merged, layer(x.flatten(1, 2)))


@settings(deadline=None)
@given(rows=SMALL, columns=SMALL, before=st.integers(0, 5), width=SMALL)
def test_the_map_that_learners_make_has_each_patch_in_its_place(
    rows: int, columns: int, before: int, width: int
) -> None:
    tokens = torch.randn(2, before + rows * columns, width)
    found = code("tokens-to-map")(tokens, rows, columns)
    assert torch.equal(found.flatten(2).mT, tokens[:, before:])


# the numbers


def test_everyones_scores_are_those_that_attention_has() -> None:
    for it, answer in everyones("window-pairs"):
        w = Windows(it.rows, it.columns, it.window)
        assert answer == w.count * w.area**2


@pytest.mark.parametrize("shift", ["half", 1])
def test_the_reach_grows_by_a_window_with_each_block(shift: Any) -> None:
    for it, answer in everyones("reach-after"):
        if it.blocks * it.window > 24:  # a larger grid takes too long
            continue
        side = it.window * (2 * it.blocks + 1)
        moved = Windows(side, side, it.window, it.window // 2 if shift == "half" else shift)
        plain, middle = Windows(side, side, it.window), side // 2 * (side + 1)
        assert reach(plain, moved, middle, it.blocks).sum() == answer


def test_everyones_table_is_the_layers() -> None:
    for it, answer in everyones("bias-rows"):
        layer = WindowAttention(8 * it.heads, it.heads, Windows(it.window, it.window, it.window))
        assert layer.relative_position_bias_table.numel() == answer


def test_everyones_share_of_the_convolution_is_what_torch_counts() -> None:
    for it, answer in everyones("conv-share")[::4]:
        block = ConvNeXtBlock(it.channels, it.kernel)
        with torch.no_grad():
            with FlopCounterMode(display=False) as whole:
                block(torch.zeros(1, it.channels, 8, 8))
            with FlopCounterMode(display=False) as conv:
                block.conv_dw(torch.zeros(1, it.channels, 8, 8))
        assert 100 * conv.get_total_flops() / whole.get_total_flops() == pytest.approx(answer)


def test_everyones_stem_sees_as_many_pixels_as_its_gradient() -> None:
    for it, answer in everyones("stem-sees"):
        if answer > 200:
            continue
        padding = it.kernel // 2
        stem = nn.Sequential(*(nn.Conv2d(1, 1, it.kernel, 2, padding, bias=False) for _ in range(it.layers)))
        for layer in stem:
            nn.init.ones_(layer.weight)  # no influence cancels another
        pixels = torch.zeros(1, 1, 512, 512, requires_grad=True)
        found = stem(pixels)
        found[0, 0, found.shape[2] // 2, found.shape[3] // 2].backward()
        assert pixels.grad is not None
        assert (pixels.grad[0, 0].sum(dim=0) > 0).sum() == answer
    assert [layer.conv.stride for layer in ConvStem(3, (8, 8), 8).backbone] == [(2, 2), (2, 2)]  # as the exercise says


def test_a_pictures_tokens_are_its_patches() -> None:
    for it, answer in everyones("picture-tokens"):
        config = create(
            "vit_cifar_patch4_32", image_size=it.side, patch_size=it.patch, embed_dim=8, num_heads=1, depth=1
        ).config
        assert answer == it.pictures * config.grid.tokens + it.words


# what the choices claim


def right(name: str) -> str:
    exercise = KEY[name]
    assert isinstance(exercise, Choice)
    return list(exercise.options)[exercise.right - 1]


def test_without_the_mask_one_edge_changes_the_answer_at_the_other() -> None:
    assert "opposite edge" in right("forgot-the-mask")
    torch.manual_seed(0)
    layer = WindowAttention(8, 2, Windows(8, 8, window=4, shift=2))
    x = torch.randn(1, 64, 8)
    changed = x.clone()
    changed[:, 56:] += 1  # the lowest row
    alike = [torch.equal(layer(x)[:, :8], layer(changed)[:, :8])]
    layer.attn_mask = torch.zeros_like(layer.attn_mask)  # type: ignore[arg-type]
    alike.append(torch.equal(layer(x)[:, :8], layer(changed)[:, :8]))
    assert alike == [True, False]


def test_the_patches_of_4_pixels_make_four_billion_scores() -> None:
    config = config_of("swin_tiny_patch4_window7_224")
    assert "stages" in right("high-resolution") and [config.patch_size * 2**stage for stage in range(4)] == [
        4,
        8,
        16,
        32,
    ]
    assert (1024 // 4) ** 2 == 65_536 and 4e9 < 65_536**2


def test_windows_do_not_reach_where_there_is_no_shift() -> None:
    assert KEY["windows-alone"].answer is False
    still = Windows(12, 12, window=4)
    assert reach(still, still, token=65, blocks=50).sum() == 16


# the prose


def test_twice_the_side_is_four_times_the_work_for_swin_and_convnext_and_more_for_a_vit() -> None:
    def times(name: str) -> float:
        sizes = (replace(config_of(name), image_size=(side, side)) for side in (224, 448))
        small, large = (cost(config, Run(training=False)).flops["inference"] for config in sizes)
        return large / small

    assert times("swin_tiny_patch4_window7_224") == pytest.approx(4, rel=0.01)
    assert times("convnext_tiny") == pytest.approx(4, rel=0.01)
    assert times("vit_small_patch16_224") > 4.5


def test_the_figures_that_the_chapter_quotes_stand_in_the_benchmarks() -> None:
    quoted = CELLS["s9-4"].source
    benchmarks = (FOLDER.parents[1] / "bench" / "README.md").read_text(encoding="utf-8")
    rows = {"plain": "89.0", "windows of 4 × 4": "63.6", "keys of 2 × 2": "82.2", "an 8th merged in each block": "87.7"}
    for row, percent in rows.items():
        assert f"| {row} | {percent}% |" in benchmarks and f"{percent} %" in quoted


def test_without_the_illustrations_no_name_is_missing() -> None:
    """Grading leaves them out, and the other cells run all the same."""
    known = set(dir(builtins))
    for cell in CELLS.values():
        if cell.cell_type == "code" and "illustration" not in cell.metadata.get("tags", []):
            nodes = list(ast.walk(ast.parse(cell.source)))
            known |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
            known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
            imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
            known |= {(name.asname or name.name).split(".")[0] for each in imports for name in each.names}
            read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
            assert read <= known, f"{cell.id}: {', '.join(read - known)}"
