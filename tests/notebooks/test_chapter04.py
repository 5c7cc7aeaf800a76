"""What chapter 4 says of itself, and of the library, is so."""

import ast
import builtins
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Plain
from vitlib.vit import functional
from vitlib.vit.attention import Attention
from vitlib.vit.attention_maps import attention_distance, rollout
from vitlib.vit.encoder import Block
from vitlib.vit.patches import PatchGrid

FOLDER = Path(__file__).parents[2] / "solutions" / "04-encoder"
KEY = load_key(FOLDER)
CELLS = {cell.id: cell for cell in nbformat.read(FOLDER / "04-encoder.ipynb", as_version=4).cells}
SMALL = st.integers(1, 4)


@settings(max_examples=20, deadline=None)
@given(batch=SMALL, tokens=SMALL, heads=SMALL, head_width=SMALL)
def test_what_learners_write_is_what_the_library_does(batch: int, tokens: int, heads: int, head_width: int) -> None:
    width = heads * head_width
    block = Block(width, heads)
    x = torch.randn(batch, tokens, width)
    q, k, v = torch.randn(3, batch, heads, tokens, head_width)
    attention, several, encoder = (
        KEY[name].reference for name in ("attention", "multi-head-attention", "encoder-block")
    )
    torch.testing.assert_close(attention(q, k, v), functional.attention(q, k, v))
    layer = block.attn
    parts = (layer.qkv.weight, layer.qkv.bias, layer.proj.weight, layer.proj.bias)
    torch.testing.assert_close(several(x, *parts, heads), layer(x))
    torch.testing.assert_close(encoder(x, block.state_dict(), heads), block(x))


def everyones_numbers(name: str) -> list[tuple[Any, Any]]:
    """The parameters of every variant, and its answer."""
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 20
    return [(SimpleNamespace(**variant.parameters), variant.value(variant.answer)) for variant in exercise.variants]


def test_the_answers_to_numbers_are_what_the_library_gives() -> None:
    for n, answer in everyones_numbers("block-parameters")[::20]:
        with torch.device("meta"):
            assert sum(p.numel() for p in Block(n.d, num_heads=1).parameters()) == answer
    for n, answer in everyones_numbers("mean-distance"):
        maps = torch.eye(4)  # patches 2 to 4 look at themselves
        maps[0] = torch.tensor([n.a, n.b, n.c, 100 - n.a - n.b - n.c]) / 100
        seen = attention_distance(maps[None, None, None], PatchGrid(n.patch, 4 * n.patch, n.patch))
        assert 4 * seen.item() == pytest.approx(answer, abs=1e-4)
    for n, answer in everyones_numbers("rollout-share"):
        maps = torch.tensor([[[n.a, 1 - n.a], [0, 1]], [[n.b, 1 - n.b], [0, 1]]])
        assert rollout(maps[None, :, None])[0, 0, 1].item() == pytest.approx(answer, abs=1e-6)


def test_heads_cost_no_parameters() -> None:
    counts = {sum(p.numel() for p in Attention(192, heads).parameters()) for heads in (1, 2, 3, 6, 192)}
    assert len(counts) == 1


def test_without_the_illustrations_no_name_is_missing() -> None:
    """Grading leaves them out, and the other cells run all the same."""
    known = set(dir(builtins))
    for cell in CELLS.values():
        if cell.cell_type == "code" and "illustration" not in cell.metadata.get("tags", []):
            nodes = list(ast.walk(ast.parse(cell.source)))
            known |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
            known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
            known |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
            missing = {node.id for node in nodes if isinstance(node, ast.Name)} - known
            assert not missing, cell.id
