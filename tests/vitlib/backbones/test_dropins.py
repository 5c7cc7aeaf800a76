"""Cheaper attention in a ViT that is there: windows, pooled keys, merged tokens, each in two forms that agree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.vitlib.vit.test_model import make
from vitlib.backbones.pooled_attention import PooledAttention, with_pooled_keys
from vitlib.backbones.token_merging import MergedViT, match
from vitlib.backbones.windowed_attention import WindowedAttention, with_windows
from vitlib.backbones.windows import Windows
from vitlib.vit.attention import split_heads
from vitlib.vit.model import ViT

GRID = {"image_size": (16, 24), "patch_size": 4, "in_chans": 2}  # 4 × 6 patches
COPIES: dict[str, Callable[[ViT], Any]] = {
    "windows": lambda vit: with_windows(vit, 2),
    "pooled keys": lambda vit: with_pooled_keys(vit, 2),
    "merged tokens": lambda vit: MergedViT(vit, 5),
}
WITHOUT_EFFECT: dict[str, Callable[[ViT], Any]] = {
    "one window": lambda vit: with_windows(vit.resized((16, 16)), 4),
    "squares of one patch": lambda vit: with_pooled_keys(vit, 1),
    "nothing merged": lambda vit: MergedViT(vit, 0),
}
every_copy = pytest.mark.parametrize("copy", COPIES)


def vit(**choices: Any) -> ViT:
    return make(**GRID | {"depth": 3} | choices).double()


def pictures(height: int = 16, width: int = 24) -> Tensor:
    return torch.randn(3, 2, height, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def shaken(module: Any) -> Any:
    for parameter in module.double().parameters():
        parameter.data = random(*parameter.shape)
    return module


def by_maps(attention: Any, x: Tensor) -> Tensor:
    """W V, with the maps over all tokens that `weights` gives."""
    _, _, v = split_heads(attention.qkv(x), attention.heads, parts=3)
    return attention.proj((attention.weights(x) @ v).transpose(1, 2).flatten(2))


# Whatever the copy


@pytest.mark.parametrize("copy", WITHOUT_EFFECT)
@pytest.mark.parametrize("choices", [{}, {"global_pool": "avg", "reg_tokens": 2}, {"layer_scale": 0.1}])
def test_a_copy_without_effect_gives_the_same_logits(copy: str, choices: dict[str, Any]) -> None:
    model = vit(depth=1, **choices)  # one block, so that no window is shifted
    made = WITHOUT_EFFECT[copy](model)
    images = pictures(*made.config.image_size)
    torch.testing.assert_close(made(images), model.resized(made.config.image_size)(images))


@every_copy
@pytest.mark.parametrize("choices", [{}, {"global_pool": "avg"}, {"global_pool": "avg", "norm_before_pool": True}])
def test_a_trimmed_last_block_changes_nothing(copy: str, choices: dict[str, Any]) -> None:
    trimmed, whole = (COPIES[copy](vit(trim=trim, **choices))(pictures()) for trim in (True, False))
    torch.testing.assert_close(trimmed, whole)


@every_copy
def test_the_copy_has_the_weights_and_leaves_the_model_alone(copy: str) -> None:
    model = vit()
    before = model(pictures())
    made = COPIES[copy](model)
    names = {name.removeprefix("vit."): each for name, each in made.state_dict().items()}
    assert names.keys() == model.state_dict().keys()
    assert all(torch.equal(each, names[name]) for name, each in model.state_dict().items())
    assert (made(pictures()) - before).abs().max() > 1e-6
    assert torch.equal(model(pictures()), before)


@every_copy
@pytest.mark.parametrize("fused", [True, False])
def test_every_parameter_gets_a_gradient_and_both_forms_agree(copy: str, fused: bool) -> None:
    made, other = (COPIES[copy](vit(fused=form)) for form in (fused, None))
    torch.testing.assert_close(made(pictures()), other(pictures()))
    (made(pictures()) * torch.linspace(1, 2, 3)[:, None]).square().sum().backward()
    assert [name for name, each in made.named_parameters() if each.grad is None or not each.grad.any()] == []


@every_copy
def test_compile_takes_the_copy_in_one_graph(copy: str, as_a_learner: None) -> None:
    torch.compiler.reset()
    made = COPIES[copy](vit(depth=2, reg_tokens=1))
    compiled = torch.compile(made, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(pictures()), made(pictures()))


@every_copy
def test_autocast_takes_the_copy(copy: str) -> None:
    made = COPIES[copy](vit().float())
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        rough = made(pictures().float())
    torch.testing.assert_close(rough.float(), made(pictures().float()), rtol=0, atol=0.2)


@pytest.mark.parametrize("copy", ["windows", "pooled keys"])
def test_a_copy_resized_is_the_copy_of_the_resized(copy: str) -> None:
    model = vit()
    other = COPIES[copy](model)
    for size in ((16, 32), (24, 24), (16, 24)):
        expected = COPIES[copy](model.resized(size))(pictures(*size))
        assert torch.equal(other.resized(size)(pictures(*size)), expected)
        other.set_input_size(size)
        model.set_input_size(size)
        assert torch.equal(other(pictures(*size)), expected)


@pytest.mark.parametrize(("copy", "message"), [("windows", "no multiple of window 2"), ("pooled keys", "stride is 2")])
def test_a_size_that_a_copy_cannot_take_leaves_it_as_it_was(copy: str, message: str) -> None:
    other = COPIES[copy](vit())
    before = other(pictures())
    with pytest.raises(ValueError, match=message):
        other.set_input_size((20, 24))  # 5 × 6 patches
    assert other.config.image_size == (16, 24) and torch.equal(other(pictures()), before)


@every_copy
def test_a_copy_keeps_what_is_frozen_and_draws_nothing(copy: str) -> None:
    model = vit().requires_grad_(False)
    model.head.weight.requires_grad_()
    state = torch.get_rng_state()
    other = COPIES[copy](model)
    assert [name for name, each in other.named_parameters() if each.requires_grad] in (
        ["head.weight"],
        ["vit.head.weight"],
    )
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("copy", ["windows", "pooled keys"])
def test_a_copy_without_numbers_is_made_too(copy: str) -> None:
    other = COPIES[copy](vit().to("meta"))
    assert all(each.is_meta for each in other.parameters())


@every_copy
def test_a_copy_of_another_kind_of_model_is_refused(copy: str, as_a_learner: None) -> None:
    with pytest.raises(TypeError, match="the model is a Linear: expected a ViT or a Hybrid"):
        COPIES[copy](nn.Linear(2, 2))


@pytest.mark.parametrize("r", [2.5, True, "2"])
def test_pairs_that_merge_are_a_whole_number(r: Any, as_a_learner: None) -> None:
    with pytest.raises(TypeError, match="expected a whole number"):
        MergedViT(vit(), r)


@pytest.mark.parametrize("copy", ["windows", "pooled keys"])
def test_attention_made_for_another_grid_says_so(copy: str, as_a_learner: None) -> None:
    attention = COPIES[copy](vit()).blocks[0].attn
    with pytest.raises(ValueError, match=r"there are 33 tokens: expected 1 \+ 4·6, .*model.set_input_size"):
        attention(random(1, 33, attention.proj.in_features))


# Windows


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.data(), st.integers(0, 2))
def test_windows_in_a_vit_are_attention_where_other_windows_are_hidden(
    rows: int, columns: int, window: int, data: st.DataObject, prefix: int
) -> None:
    windows = Windows(rows * window, columns * window, window, data.draw(st.integers(0, window - 1)))
    attention = shaken(WindowedAttention(8, 2, windows, prefix))
    x = random(2, prefix + windows.rows * windows.columns, 8)
    torch.testing.assert_close(attention(x), by_maps(attention, x))
    torch.testing.assert_close(attention(x, slice(0, 1)), attention(x)[:, :1])


def test_every_second_block_is_shifted() -> None:
    assert [block.attn.windows.shift for block in with_windows(vit(), 2).blocks] == [0, 1, 0]


def test_a_far_patch_is_seen_through_cls_alone() -> None:
    attention = shaken(WindowedAttention(8, 2, Windows(4, 4, 2), prefix=1))
    x = random(1, 17, 8)
    other = x.clone()
    other[:, 16] += 1  # the last patch
    changed = (attention(x) - attention(other)).abs().sum(dim=-1)[0] > 1e-9
    assert changed.nonzero().flatten().tolist() == [0, 11, 12, 15, 16]  # CLS, and the window of the patch


# Pooled keys


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
def test_pooling_first_pooling_keys_and_sharing_the_maps_are_the_same(r: int, c: int, stride: int, prefix: int) -> None:
    attention = shaken(PooledAttention(8, 2, (r * stride, c * stride), stride, prefix))
    x = random(2, prefix + r * c * stride**2, 8)
    torch.testing.assert_close(attention(x), attention.keys_pooled(x))
    torch.testing.assert_close(attention(x), by_maps(attention, x))
    torch.testing.assert_close(attention(x, slice(0, 1)), attention(x)[:, :1])


# Bad input


@pytest.mark.parametrize(
    ("make_it", "words"),
    [
        (lambda: with_windows(vit(), 5), "window is 5 tokens, and the grid has 4 × 6 tokens: choose 1 to 4"),
        (lambda: with_windows(vit(), 4), "4 × 6 tokens is no multiple of window 4; choose 1, 2, or"),
        (lambda: with_pooled_keys(vit(), 3), "stride is 3, and the grid has 4 × 6 tokens: choose 1, 2"),
        (lambda: with_pooled_keys(vit(), 0), "stride is 0"),
        (lambda: MergedViT(vit(), 9), "r is 9: 24 patches through 3 blocks can lose 0 to 8 in each, .* choose r=8"),
        (lambda: MergedViT(vit(), -1), "r is -1: 24 patches through 3 blocks can lose 0 to 8"),
        (lambda: MergedViT(vit(global_pool="map"), 2), 'pools by attention, .*: expected "token" or "avg"'),
        (lambda: match(torch.zeros(1, 5, 2), 3), "r is 3: of 5 tokens, 0 to 2 can merge at once"),
        (lambda: MergedViT(vit(), 8)(pictures(24, 16)), "expected torch.float64"),
    ],
)
def test_what_cannot_be_done_is_refused(make_it: Callable[[], nn.Module], words: str, as_a_learner: None) -> None:
    with pytest.raises(ValueError, match=words):
        make_it()


def test_the_most_that_can_merge_can() -> None:
    for depth in (2, 3, 5):
        model = vit(depth=depth)
        MergedViT(model, 24 // depth)(pictures())
        with pytest.raises(ValueError, match="r is"):
            MergedViT(model, 24 // depth + 1)
    assert replace(vit(depth=1).config).depth == 1
    MergedViT(vit(depth=1), 0)(pictures())
