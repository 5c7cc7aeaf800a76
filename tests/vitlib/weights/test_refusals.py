"""What does not fit is named and refused; nothing is loaded by half."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from tests.vitlib.weights.shared import FITTING, TINY, assert_equal, made, refusal, tensors
from vitlib.weights import CheckpointError, convert, load, save
from vitlib.weights.recognise import LAYOUTS


def test_every_name_that_does_not_fit_is_named() -> None:
    state = tensors()
    state["blocks.0.norm1.bais"] = state.pop("blocks.0.norm1.bias")
    state["blocks.1.norm1.bais"] = state.pop("blocks.1.norm1.bias")
    state["head.weight"] = torch.zeros(5, 31)
    del state["norm.weight"]
    said = refusal(lambda: load(state, num_heads=4))
    assert (
        "missing (3):\n    blocks.#.norm1.bias (# = 0…1): the nearest is blocks.0.norm1.bais\n    norm.weight" in said
    )
    assert "not expected (2):\n    blocks.#.norm1.bais (# = 0…1)" in said
    assert "wrong shape (1):\n    head.weight: is 5×31, expected 5×32" in said


def test_names_are_those_of_the_file() -> None:
    state = convert(tensors(), "hf-disk")
    del state["vit.encoder.layer.1.attention.attention.key.bias"]
    said = refusal(lambda: load(state, num_heads=4))
    assert "missing (1):\n    vit.encoder.layer.1.attention.attention.key.bias" in said
    assert "not expected" not in said  # query and value have done nothing wrong


def test_a_name_that_shows_the_size_is_missed_like_any_other() -> None:
    state = convert(tensors(), "hf")
    state["vit.embeddings.patch_embedding.projection.weight"] = state.pop(
        "vit.embeddings.patch_embeddings.projection.weight"
    )
    said = refusal(lambda: load(state, num_heads=4))
    assert "projection.weight: the nearest is vit.embeddings.patch_embedding.projection.weight" in said


def test_extra_names_stay_out_on_request_alone() -> None:
    state = tensors() | {"ema_steps": torch.zeros(1), "decoder.weight": torch.zeros(3)}
    said = refusal(lambda: load(state, num_heads=4))
    assert "ema_steps" in said and "decoder.weight" in said and "drop=" in said
    assert_equal(load(state, num_heads=4, drop=["ema_*", "decoder.*"]).state_dict(), tensors())
    assert "ema_steps" in refusal(lambda: convert(state, "torchvision"))


@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [
        ("blocks.0.mlp.w12.weight", (8, 8), "SwiGLU"),
        ("rope_embed.periods", (8,), "DINOv3"),
        ("dist_token", (1, 1, 32), "distilled DeiT"),
        ("pre_logits.fc.weight", (32, 32), "one more layer before the head"),
    ],
)
def test_relatives_are_recognised(name: str, shape: tuple[int, ...], what: str) -> None:
    assert what in refusal(lambda: load(tensors() | {name: torch.zeros(shape)}, num_heads=4))


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["conv1.weight", "bn1.weight", "layer1.0.conv1.weight"], "a ResNet"),
        (["patch_embed.proj.weight", "blocks.0.attn.relative_position_bias_table"], "such as Swin or BEiT"),
        (["a", "b"], "expected one of timm, dinov2, torchvision"),
    ],
)
def test_other_networks_are_refused(names: list[str], what: str) -> None:
    said = refusal(lambda: load({name: torch.zeros(1) for name in names}))
    assert what in said and names[0] in said


def test_a_layout_has_no_place_for_everything(tmp_path: Path) -> None:
    said = refusal(lambda: save(made(replace(TINY, reg_tokens=2, layer_scale=1.0)), tmp_path / "x.pth", "torchvision"))
    assert "reg_token" in said and "blocks.#.ls1.gamma (# = 0…1)" in said
    said = refusal(lambda: save(made(TINY), tmp_path / "x.npz", "google"))
    assert "google's own model has gelu='tanh', this one has gelu='erf'" in said
    said = refusal(lambda: save(made(replace(TINY, positions="sincos2d")), tmp_path / "x.pth", "hf"))
    assert "keeps learned positions" in said
    assert "no layout 'keras'" in refusal(lambda: save(made(TINY), tmp_path / "x.pth", "keras"))
    assert "'.h5'" in refusal(lambda: save(made(TINY), tmp_path / "x.h5"))
    assert not os.listdir(tmp_path)


def test_what_cannot_be_told_by_counting_is_asked_for() -> None:
    assert "give num_heads=" in refusal(lambda: convert(tensors(), "google"))
    config = replace(TINY, image_size=(16, 40))
    assert 'form="all"' in refusal(lambda: convert(tensors(config), "torchvision"))


@pytest.mark.parametrize("name", ["cls_token", "pos_embed"])
def test_converting_a_token_of_another_shape_is_refused(name: str) -> None:
    state = tensors() | {name: torch.zeros(32)}
    assert "expected 3 axes" in refusal(lambda: convert(state, "torchvision"))


def test_computed_positions_need_a_word() -> None:
    config = replace(TINY, positions="sincos2d")
    assert "positions='sincos2d'" in refusal(lambda: load(tensors(config), num_heads=4))
    assert load(tensors(config), num_heads=4, positions="sincos2d", made_for=32).config == config


def test_numbers_that_are_none(tmp_path: Path) -> None:
    state = tensors()
    state["blocks.1.mlp.fc2.bias"][3] = torch.nan
    state["head.bias"][0] = torch.inf
    said = refusal(lambda: load(state, num_heads=4))
    assert "blocks.1.mlp.fc2.bias; head.bias" in said and "NaN" in said


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_dtype_is_a_decision(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({name: each.to(dtype) for name, each in tensors().items()}, tmp_path / "vit.safetensors")
    said = refusal(lambda: load(tmp_path / "vit.safetensors", num_heads=4))
    assert str(dtype) in said and "dtype=torch.float32" in said
    for wanted in (torch.float32, dtype):
        model = load(tmp_path / "vit.safetensors", num_heads=4, dtype=wanted)
        assert {each.dtype for each in model.state_dict().values()} == {wanted}


def test_several_dtypes_in_one_checkpoint_are_converted_on_request() -> None:
    state = convert(tensors(), "hf")
    state |= {name: each.bfloat16() for name, each in state.items() if ".q_proj." in name}  # read with k and v as one
    assert "expected one dtype" in refusal(lambda: load(state, num_heads=4))
    model = load(state, num_heads=4, dtype=torch.float32)
    assert {each.dtype for each in model.state_dict().values()} == {torch.float32}


def test_a_number_that_the_dtype_cannot_hold_is_refused() -> None:
    state = tensors()
    state["head.bias"][0] = 70_000.0  # the largest of float16 is 65,504
    assert "too large for torch.float16) in head.bias" in refusal(lambda: load(state, num_heads=4, dtype=torch.float16))
    load(state, num_heads=4, dtype=torch.bfloat16)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, "float16"])
def test_only_real_numbers_are_a_dtype(dtype: Any, as_a_learner: None) -> None:
    with pytest.raises(TypeError, match="expected one of real numbers"):
        load(tensors(), num_heads=4, dtype=dtype)


def test_a_first_layer_for_no_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="in_chans is 0: expected at least 1"):
        load(tensors(), num_heads=4, in_chans=0)


def test_whole_numbers_are_no_weights() -> None:
    assert "torch.int8" in refusal(
        lambda: load(tensors() | {"head.bias": torch.zeros(5, dtype=torch.int8)}, num_heads=4)
    )


def test_told_and_shown_must_agree(tmp_path: Path) -> None:
    save_file(convert(tensors(), "hf-disk"), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "vit", "hidden_size": 768, "num_attention_heads": 12}')
    said = refusal(lambda: load(tmp_path))
    assert "embed_dim=32" in said and "768" in said
    (tmp_path / "config.json").write_text("<html>")
    assert "no JSON" in refusal(lambda: load(tmp_path))
    (tmp_path / "config.json").write_text('{"hidden_act": "relu"}')
    assert "hidden_act is 'relu'" in refusal(lambda: load(tmp_path))
    assert "mlp_ratio=4.0" in refusal(lambda: load(tensors(), num_heads=4, mlp_ratio=2.0))
    assert load(tensors(), num_heads=4, mlp_ratio=4.01).config.mlp_ratio == 4.01  # 128 hidden numbers, both
    assert "a ViT, which has no colour" in refusal(lambda: load(tensors(), num_heads=4, colour="red"))


def test_a_block_of_an_absurd_number_builds_nothing() -> None:
    state = tensors() | {"blocks.99999999.norm1.bias": torch.zeros(32)}
    assert "one of them is of block 99999999" in refusal(lambda: load(state, num_heads=4))


BREAKS: dict[str, Callable[[Tensor], Tensor | None]] = {
    "missing": lambda tensor: None,
    "flat": lambda tensor: tensor.flatten(),
    "one axis more": lambda tensor: tensor[None],
    "empty": lambda tensor: tensor[:0],
    "a single number": lambda tensor: tensor.new_zeros(()),
    "larger": lambda tensor: tensor.new_zeros([length + 1 for length in tensor.shape]),
    "whole numbers": lambda tensor: tensor.int(),
}


@settings(max_examples=60)
@given(st.sampled_from(list(LAYOUTS)), st.integers(0, 100), st.sampled_from(list(BREAKS)))
@example("big_vision", 5, "a single number")  # torch only warns where a number is transposed
def test_whatever_breaks_is_refused_or_loads_the_same(layout: str, which: int, how: str) -> None:
    config = FITTING[layout]
    state = convert(tensors(config), layout, "timm", num_heads=4, form=config.prefix_positions)
    name = sorted(state)[which % len(state)]
    assume(name not in ("register_tokens", "embeddings.register_tokens") or how != "missing")  # then it's a DINOv2
    broken = BREAKS[how](state.pop(name))
    try:
        model = load(state if broken is None else state | {name: broken}, num_heads=4)
    except CheckpointError:
        return
    assert_equal(model.state_dict(), tensors(model.config))  # one axis more of length 1 is no loss
