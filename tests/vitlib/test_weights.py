"""Checkpoints: converted bit for bit, read without trust, written whole, refused by name."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tests.vitlib.reference.make import images, weights
from vitlib import files
from vitlib.config import ViTConfig
from vitlib.layouts import LAYOUTS
from vitlib.presets import create
from vitlib.recognise import recognise
from vitlib.renaming import move_rows
from vitlib.vit import ViT
from vitlib.weights import CheckpointError, convert, detect, load, load_into, save

TINY = ViTConfig((32, 32), 8, num_classes=5, width=32, depth=2, heads=4)
# a model that each layout can hold as it is: what its own library computes with
FITTING = {
    "timm": TINY,
    "torchvision": TINY,
    "hf": TINY,
    "hf-disk": TINY,
    "dinov2": replace(TINY, num_classes=0, registers=3, prefix_positions="cls", layer_scale=1.0),
    "hf-dinov2": replace(TINY, num_classes=0, registers=3, prefix_positions="cls", layer_scale=1.0),
    "google": replace(TINY, gelu="tanh"),
    "big_vision": replace(TINY, gelu="tanh", class_token=False, pooling="attention"),
}


def made(config: ViTConfig) -> ViT:
    """A model whose every parameter is far from its initial value."""
    model = ViT(config)
    model.load_state_dict(weights({name: tuple(each.shape) for name, each in model.state_dict().items()}))
    return model.eval()


def tensors(config: ViTConfig = TINY) -> dict[str, Tensor]:
    return made(config).state_dict()


def pictures(config: ViTConfig = TINY) -> Tensor:
    return images(config.channels, *config.image_size)


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name]), name


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(CheckpointError) as caught:
        make()
    return str(caught.value)


# Round trips

choices = {
    "patch": st.integers(1, 4),
    "rows": st.integers(1, 4),
    "columns": st.integers(1, 4),
    "heads": st.integers(1, 3),
    "mlp_ratio": st.sampled_from([0.75, 1.0, 3.1, 4.0]),
    "channels": st.sampled_from([1, 3]),
    "num_classes": st.sampled_from([0, 1, 4]),
    "depth": st.integers(1, 3),
}
configs = st.fixed_dictionaries(choices)


def drawn(rows: int, columns: int, patch: int, heads: int, **more: Any) -> ViTConfig:
    return ViTConfig((patch * rows, patch * columns), patch, width=8 * heads, heads=heads, **more)


@settings(max_examples=25)
@given(configs, st.sampled_from(["torchvision", "hf", "hf-disk", "google", "timm"]))
def test_there_and_back_every_bit_is_the_same(choices: dict[str, Any], layout: str) -> None:
    config = drawn(**choices)
    state = tensors(config)
    theirs = convert(state, layout, "timm", heads=config.heads, form="all")
    assert detect(theirs) == layout
    assert_equal(convert(theirs, "timm"), state)
    assert_equal(convert(convert(theirs, "timm"), layout, heads=config.heads, form="all"), theirs)


@settings(max_examples=15)
@given(configs, st.integers(0, 3), st.sampled_from(["dinov2", "hf-dinov2"]))
def test_dinov2_there_and_back(choices: dict[str, Any], registers: int, layout: str) -> None:
    config = replace(drawn(**choices), num_classes=0, registers=registers, prefix_positions="cls", layer_scale=0.1)
    theirs = convert(tensors(config), layout, "timm", form="cls") | {"mask_token": torch.rand(1, config.width)}
    if layout == "hf-dinov2":
        theirs["embeddings.mask_token"] = theirs.pop("mask_token")
    assert detect(theirs) == layout
    other = {"dinov2": "hf-dinov2", "hf-dinov2": "dinov2"}[layout]
    assert_equal(convert(convert(theirs, other), layout), theirs)
    unmasked = {name: each for name, each in theirs.items() if "mask_token" not in name}
    assert_equal(convert(convert(theirs, "timm"), layout, "timm", form="all"), unmasked)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", files.SUFFIXES)
@torch.no_grad()
def test_a_saved_model_comes_back_whole(layout: str, suffix: str, tmp_path: Path) -> None:
    config = replace(FITTING[layout], mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), resize="hf")
    model = made(config)
    save(model, tmp_path / f"vit{suffix}", layout)
    back = load(tmp_path / f"vit{suffix}")
    assert back.config == config
    assert_equal(back.state_dict(), model.state_dict())
    assert torch.equal(back(pictures()), model(pictures()))
    assert os.listdir(tmp_path) == [f"vit{suffix}"]


@torch.no_grad()
def test_no_layout_changes_what_the_model_computes() -> None:
    """Where a layout keeps the positions of the tokens before the patches otherwise, they move and the sum stays."""
    for config in (
        replace(TINY, prefix_positions="none"),
        replace(TINY, registers=3, prefix_positions="all"),
        replace(TINY, registers=3, prefix_positions="cls"),
        replace(TINY, registers=3, prefix_positions="none"),
    ):
        model = made(config)
        expected = model(pictures())
        for form in ("all", "cls", "none"):
            moved = move_rows(model.state_dict(), config.prefix_positions, form)
            other = ViT(replace(config, prefix_positions=form)).eval()
            other.load_state_dict(moved)
            torch.testing.assert_close(other(pictures()), expected, rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["torchvision", "hf", "google", "big_vision"])
@pytest.mark.parametrize("form", ["all", "none"])
def test_positions_of_cls_fit_every_layout(layout: str, form: Any) -> None:
    model = made(replace(TINY, prefix_positions=form))
    theirs = convert(model.state_dict(), layout, heads=4)  # the form is told by counting
    back = load(theirs, heads=4, eps=1e-6, gelu="erf")
    torch.testing.assert_close(back(pictures()), model(pictures()), rtol=0, atol=1e-6)


# Other spellings


def respelled(state: dict[str, Tensor], spell: Callable[[str], str]) -> dict[str, Tensor]:
    return {spell(name): each for name, each in state.items()}


@pytest.mark.parametrize(
    ("layout", "spell"),
    [
        ("timm", lambda name: "module." + name),
        ("timm", lambda name: "_orig_mod.module." + name),
        ("dinov2", lambda name: name.replace("blocks.", "blocks.0.")),
        ("torchvision", lambda name: name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2.")),
        ("hf", lambda name: name.removeprefix("vit.")),
        ("hf-disk", lambda name: name.removeprefix("vit.")),
        ("hf-dinov2", lambda name: "dinov2_with_registers." + name),
        ("google", lambda name: "opt/target/" + name),
        ("big_vision", lambda name: "params/img/" + name),
    ],
)
def test_older_and_wrapped_names_are_read(layout: str, spell: Callable[[str], str]) -> None:
    config = FITTING[layout]
    theirs = convert(tensors(config), layout, "timm", heads=4, form=config.prefix_positions)
    other = respelled(theirs, spell)
    assert other.keys() != theirs.keys() and detect(other) == layout
    assert_equal(convert(other, layout, heads=4, form=config.prefix_positions), theirs)


def test_a_training_checkpoint_holds_its_state_dict_in_a_part(tmp_path: Path) -> None:
    state = tensors()
    torch.save({"model": state, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}, tmp_path / "one.pth")
    assert_equal(load(tmp_path / "one.pth", heads=4).state_dict(), state)
    torch.save({"model": state, "model_ema": weights({name: tuple(t.shape) for name, t in state.items()})},
               tmp_path / "two.pth")  # fmt: skip
    said = refusal(lambda: load(tmp_path / "two.pth", heads=4))
    assert "2 state dicts; choose one with part=: 'model', 'model_ema'" in said
    assert_equal(load(tmp_path / "two.pth", part="model_ema", heads=4).state_dict(), state)
    assert "no state dict 'ema'" in refusal(lambda: load(tmp_path / "two.pth", part="ema", heads=4))


def test_torch_before_1_6_wrote_no_archive(tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_equal(load(tmp_path / "old.pth", heads=4).state_dict(), tensors())


def test_bfloat16_travels_in_npz_as_big_vision_writes_it(tmp_path: Path) -> None:
    model = made(FITTING["big_vision"]).to(torch.bfloat16)
    save(model, tmp_path / "vit.npz", "big_vision")
    with np.load(tmp_path / "vit.npz") as arrays:
        assert arrays["embedding/bias"].dtype == "V2"
    assert_equal(load(tmp_path / "vit.npz", dtype=torch.bfloat16).state_dict(), model.state_dict())


# What no tensor shows


def test_saved_files_are_what_their_own_libraries_read(tmp_path: Path) -> None:
    """The note lies where other readers don't look."""
    model = made(TINY)
    save(model, tmp_path / "vit.pth", "torchvision")
    assert_equal(torch.load(tmp_path / "vit.pth", weights_only=True), convert(model.state_dict(), "torchvision"))
    save(made(FITTING["google"]), tmp_path / "vit.npz", "google")
    with np.load(tmp_path / "vit.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(convert(tensors(), "google", heads=4))


def test_choices_come_from_the_caller_then_the_note_then_the_library(tmp_path: Path) -> None:
    state = tensors()
    assert load(state, heads=4).config.eps == 1e-6
    assert load(convert(state, "hf"), heads=4).config.eps == 1e-12
    assert load(convert(state, "hf"), heads=4, eps=1e-3).config.eps == 1e-3
    save(made(replace(TINY, eps=1e-4)), tmp_path / "vit.pt", "hf")
    assert load(tmp_path / "vit.pt").config.eps == 1e-4
    assert load(tmp_path / "vit.pt", eps=1e-3).config.eps == 1e-3


def test_what_each_library_computes_with() -> None:
    def of(layout: str, config: ViTConfig) -> tuple[Any, ...]:
        theirs = convert(tensors(config), layout, "timm", heads=4, form=config.prefix_positions)
        c = load(theirs, heads=4).config
        return c.eps, c.gelu, len(c.mean), c.resize

    assert of("timm", TINY) == (1e-6, "erf", 1, "timm")
    assert of("torchvision", TINY) == (1e-6, "erf", 3, "torchvision")
    assert of("hf", TINY) == of("hf-disk", TINY) == (1e-12, "erf", 1, "hf")
    assert of("google", TINY) == of("big_vision", TINY) == (1e-6, "tanh", 1, "google")
    assert of("hf-dinov2", FITTING["dinov2"]) == (1e-6, "erf", 3, "timm")  # its registers came with antialiasing
    without = replace(FITTING["dinov2"], registers=0, prefix_positions="all")
    theirs = convert(tensors(without), "dinov2", "timm", form="all") | {"mask_token": torch.zeros(1, 32)}
    assert load(theirs, heads=4).config.resize == "dinov2"


def test_normalisation_is_read_beside_the_file(tmp_path: Path) -> None:
    save_file(convert(tensors(), "hf-disk"), tmp_path / "model.safetensors")
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}')
    model = load(tmp_path, heads=4)
    assert (model.config.mean, model.config.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    save_file(tensors(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(
        json.dumps(
            {"architecture": "vit", "pretrained_cfg": {"mean": [0.7] * 3, "std": [0.8] * 3, "input_size": [3, 32, 32]}}
        )
    )
    assert load(tmp_path, heads=4).config.mean == (0.7, 0.7, 0.7)


def of_shape(*shape: int) -> Tensor:
    return torch.zeros(1).expand(shape)  # one number in memory, whatever the shape


@pytest.mark.parametrize(
    ("width", "heads"), [(192, 3), (768, 12), (1152, 16), (1280, 16), (1408, 16), (1536, 24), (1664, 16)]
)
def test_heads_are_known_where_the_width_is_published(width: int, heads: int) -> None:
    shapes = {
        "cls_token": of_shape(1, 1, width),
        "pos_embed": of_shape(1, 197, width),
        "patch_embed.proj.weight": of_shape(width, 3, 16, 16),
        "blocks.0.mlp.fc1.weight": of_shape(4 * width, width),
    }
    assert recognise(shapes, LAYOUTS["timm"], {})[0].heads == heads


def test_heads_of_a_small_model_are_asked_for() -> None:
    assert load(tensors(create("vit_digits_patch2_8").config)).config.heads == 4  # one of ours
    assert "give heads=" in refusal(lambda: load(tensors()))
    assert load(tensors(), like=TINY).config.heads == 4


def test_a_grid_that_is_no_square_is_asked_for() -> None:
    config = replace(TINY, image_size=(16, 40))
    assert "made_for=(height, width)" in refusal(lambda: load(tensors(config), heads=4))
    assert load(tensors(config), heads=4, made_for=(16, 40)).config == config
    said = refusal(lambda: load(tensors(config), heads=4, made_for=(16, 48)))
    assert "10 + 1 or 11 + 0 rows" in said and "16×48 pixels has 12 patches" in said
    # 4 × 4 patches and 2 × 8 are equally many: which of them were the positions made for?
    assert "made_for=" in refusal(lambda: load(tensors(), heads=4, image_size=(16, 64)))
    assert load(tensors(), heads=4, made_for=32, image_size=(16, 64)).config.image_size == (16, 64)


# Another size, other classes, a model that is there


def test_positions_are_resized_in_the_way_of_the_checkpoint() -> None:
    hf, timm = (load(convert(tensors(), layout), heads=4, image_size=(24, 48)) for layout in ("hf", "timm"))
    assert hf.config.image_size == (24, 48)
    assert torch.equal(hf.pos_embed, load(tensors(), heads=4, resize="hf").resized((24, 48)).pos_embed)
    assert not torch.allclose(hf.pos_embed, timm.pos_embed, atol=1e-3)


@pytest.mark.parametrize("classes", [0, 3])
def test_other_classes_get_a_new_head(classes: int) -> None:
    model = load(tensors(), heads=4, num_classes=classes, generator=torch.Generator().manual_seed(0))
    fresh = ViT(replace(TINY, num_classes=classes), torch.Generator().manual_seed(0)).state_dict()
    for name, each in model.state_dict().items():
        assert torch.equal(each, fresh[name] if name.startswith("head.") else tensors()[name])
    assert load({k: v for k, v in tensors().items() if "head" not in k}, heads=4, num_classes=3).head.out_features == 3


def test_half_a_head_is_no_new_head() -> None:
    state = tensors()
    del state["head.bias"]
    assert "missing (1):\n    head.bias" in refusal(lambda: load(state, heads=4, num_classes=5))


def test_load_into_fills_a_model_and_its_configuration(tmp_path: Path) -> None:
    save(made(replace(TINY, mean=(0.1,), resize="google")), tmp_path / "vit.safetensors")
    model = ViT(replace(TINY, image_size=(24, 48), dropout=0.1))
    load_into(model, tmp_path / "vit.safetensors")
    assert_equal(model.state_dict(), load(tmp_path / "vit.safetensors", image_size=(24, 48)).state_dict())
    assert (model.config.mean, model.config.resize, model.config.dropout) == ((0.1,), "google", 0.1)


def test_load_into_refuses_a_model_that_computes_something_else() -> None:
    model = ViT(replace(TINY, eps=1e-5))
    before = {name: each.clone() for name, each in model.state_dict().items()}
    said = refusal(lambda: load_into(model, convert(tensors(), "hf")))
    assert "eps is 1e-05 in the model and 1e-12 in the checkpoint" in said and "vitlib.weights.load" in said
    assert_equal(model.state_dict(), before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mlp_ratio": 2.0}, "mlp_ratio is 2.0 in the model and 4.0 in the checkpoint"),
        ({"layer_scale": 0.1}, "layer_scale is True in the model and False in the checkpoint"),
        ({"depth": 3, "gelu": "tanh"}, "depth is 3 in the model and 2 in the checkpoint; gelu is 'tanh'"),
        ({"pooling": "mean"}, "pooling is 'mean' in the model and 'cls' in the checkpoint"),
    ],
)
def test_load_into_names_every_difference(change: dict[str, Any], said: str) -> None:
    assert said in refusal(lambda: load_into(ViT(replace(TINY, **change)), tensors()))


def test_load_into_asks_before_it_leaves_the_head() -> None:
    model = ViT(replace(TINY, num_classes=3))
    head = model.head.weight.clone()
    said = refusal(lambda: load_into(model, tensors()))
    assert "num_classes is 3 in the model and 5 in the checkpoint" in said and "new_head=True" in said
    load_into(model, tensors(), new_head=True)
    assert torch.equal(model.head.weight, head)
    assert torch.equal(model.norm.weight, tensors()["norm.weight"])


def test_load_into_takes_heads_and_size_from_the_model_where_nothing_else_tells() -> None:
    for config in (replace(TINY, image_size=(16, 40)), replace(TINY, positions="sincos2d")):
        model = ViT(config)
        load_into(model, tensors(config))
        assert_equal(model.state_dict(), tensors(config))


# Refused by name


def test_every_name_that_does_not_fit_is_named() -> None:
    state = tensors()
    state["blocks.0.norm1.bais"] = state.pop("blocks.0.norm1.bias")
    state["blocks.1.norm1.bais"] = state.pop("blocks.1.norm1.bias")
    state["head.weight"] = torch.zeros(5, 31)
    del state["norm.weight"]
    said = refusal(lambda: load(state, heads=4))
    assert (
        "missing (3):\n    blocks.#.norm1.bias (# = 0…1): the nearest is blocks.0.norm1.bais\n    norm.weight" in said
    )
    assert "not expected (2):\n    blocks.#.norm1.bais (# = 0…1)" in said
    assert "wrong shape (1):\n    head.weight: is 5×31, expected 5×32" in said


def test_names_are_those_of_the_file() -> None:
    state = convert(tensors(), "hf-disk")
    del state["vit.encoder.layer.1.attention.attention.key.bias"]
    said = refusal(lambda: load(state, heads=4))
    assert "missing (1):\n    vit.encoder.layer.1.attention.attention.key.bias" in said
    assert "not expected" not in said  # query and value have done nothing wrong


def test_a_name_that_shows_the_size_is_missed_like_any_other() -> None:
    state = convert(tensors(), "hf")
    state["vit.embeddings.patch_embedding.projection.weight"] = state.pop(
        "vit.embeddings.patch_embeddings.projection.weight"
    )
    said = refusal(lambda: load(state, heads=4))
    assert "projection.weight: the nearest is vit.embeddings.patch_embedding.projection.weight" in said


def test_extra_names_stay_out_on_request_alone() -> None:
    state = tensors() | {"ema_steps": torch.zeros(1), "decoder.weight": torch.zeros(3)}
    said = refusal(lambda: load(state, heads=4))
    assert "ema_steps" in said and "decoder.weight" in said and "drop=" in said
    assert_equal(load(state, heads=4, drop=["ema_*", "decoder.*"]).state_dict(), tensors())
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
    assert what in refusal(lambda: load(tensors() | {name: torch.zeros(shape)}, heads=4))


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["conv1.weight", "bn1.weight", "layer1.0.conv1.weight"], "a ResNet"),
        (["patch_embed.proj.weight", "layers.0.blocks.0.norm1.weight"], "a Swin Transformer"),
        (["a", "b"], "expected one of timm, dinov2, torchvision"),
    ],
)
def test_other_networks_are_refused(names: list[str], what: str) -> None:
    said = refusal(lambda: load({name: torch.zeros(1) for name in names}))
    assert what in said and names[0] in said


def test_a_layout_has_no_place_for_everything(tmp_path: Path) -> None:
    said = refusal(lambda: save(made(replace(TINY, registers=2, layer_scale=1.0)), tmp_path / "x.pth", "torchvision"))
    assert "reg_token" in said and "blocks.#.ls1.gamma (# = 0…1)" in said
    said = refusal(lambda: save(made(TINY), tmp_path / "x.npz", "google"))
    assert "google's own model has gelu='tanh', this one has gelu='erf'" in said
    said = refusal(lambda: save(made(replace(TINY, positions="sincos2d")), tmp_path / "x.pth", "hf"))
    assert "keeps learned positions" in said
    assert "no layout 'keras'" in refusal(lambda: save(made(TINY), tmp_path / "x.pth", "keras"))
    assert "'.h5'" in refusal(lambda: save(made(TINY), tmp_path / "x.h5"))
    assert not os.listdir(tmp_path)


def test_what_cannot_be_told_by_counting_is_asked_for() -> None:
    assert "give heads=" in refusal(lambda: convert(tensors(), "google"))
    config = replace(TINY, image_size=(16, 40))
    assert 'form="all"' in refusal(lambda: convert(tensors(config), "torchvision"))


def test_computed_positions_need_a_word() -> None:
    config = replace(TINY, positions="sincos2d")
    assert "positions='sincos2d'" in refusal(lambda: load(tensors(config), heads=4))
    assert load(tensors(config), heads=4, positions="sincos2d", made_for=32).config == config


def test_numbers_that_are_none(tmp_path: Path) -> None:
    state = tensors()
    state["blocks.1.mlp.fc2.bias"][3] = torch.nan
    state["head.bias"][0] = torch.inf
    said = refusal(lambda: load(state, heads=4))
    assert "blocks.1.mlp.fc2.bias; head.bias" in said and "NaN" in said


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_dtype_is_a_decision(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({name: each.to(dtype) for name, each in tensors().items()}, tmp_path / "vit.safetensors")
    said = refusal(lambda: load(tmp_path / "vit.safetensors", heads=4))
    assert str(dtype) in said and "dtype=torch.float32" in said
    for wanted in (torch.float32, dtype):
        model = load(tmp_path / "vit.safetensors", heads=4, dtype=wanted)
        assert {each.dtype for each in model.state_dict().values()} == {wanted}


def test_whole_numbers_are_no_weights() -> None:
    assert "torch.int8" in refusal(lambda: load(tensors() | {"head.bias": torch.zeros(5, dtype=torch.int8)}, heads=4))


def test_told_and_shown_must_agree(tmp_path: Path) -> None:
    save_file(convert(tensors(), "hf-disk"), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "vit", "hidden_size": 768, "num_attention_heads": 12}')
    said = refusal(lambda: load(tmp_path))
    assert "width=32" in said and "768" in said
    (tmp_path / "config.json").write_text("<html>")
    assert "no JSON" in refusal(lambda: load(tmp_path))
    (tmp_path / "config.json").write_text('{"hidden_act": "relu"}')
    assert "hidden_act is 'relu'" in refusal(lambda: load(tmp_path))
    assert "mlp_ratio=4.0" in refusal(lambda: load(tensors(), heads=4, mlp_ratio=2.0))
    assert load(tensors(), heads=4, mlp_ratio=4.01).config.mlp_ratio == 4.01  # 128 hidden numbers, both
    assert "a ViT has no colour" in refusal(lambda: load(tensors(), heads=4, colour="red"))


def test_a_block_of_an_absurd_number_builds_nothing() -> None:
    state = tensors() | {"blocks.99999999.norm1.bias": torch.zeros(32)}
    assert "one of them is of block 99999999" in refusal(lambda: load(state, heads=4))


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
def test_whatever_breaks_is_refused_or_loads_the_same(layout: str, which: int, how: str) -> None:
    config = FITTING[layout]
    state = convert(tensors(config), layout, "timm", heads=4, form=config.prefix_positions)
    name = sorted(state)[which % len(state)]
    assume(name not in ("register_tokens", "embeddings.register_tokens") or how != "missing")  # then it's a DINOv2
    broken = BREAKS[how](state.pop(name))
    try:
        model = load(state if broken is None else state | {name: broken}, heads=4)
    except CheckpointError:
        return
    assert_equal(model.state_dict(), tensors(model.config))  # one axis more of length 1 is no loss


# Files that are not what they seem


class Trap:
    """A pickle that runs a command when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save({"model": Trap(tmp_path / "ran")}, tmp_path / "trap.pth", _use_new_zipfile_serialization=zipped)
        said = refusal(lambda: load(tmp_path / "trap.pth"))
        assert "posix.mkdir" in said and "nothing was run" in said
    np.savez(tmp_path / "trap.npz", cls=np.array([Trap(tmp_path / "ran")], dtype=object))
    assert "'cls' is no array of numbers" in refusal(lambda: load(tmp_path / "trap.npz"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_a_file_cut_off_anywhere_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vit{suffix}"
    save(made(FITTING["google"]), path, "google")
    whole = path.read_bytes()
    for share in (0.0, 0.001, 0.3, 0.9, 0.9999):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert str(path) in refusal(lambda: load(path))


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_a_flipped_bit_is_noticed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vit{suffix}"
    save(made(FITTING["google"]), path, "google")
    damaged = bytearray(path.read_bytes())
    at = damaged.find(tensors()["norm.bias"].numpy().tobytes())
    damaged[at + 2] ^= 1
    path.write_bytes(damaged)
    assert "fails its checksum" in refusal(lambda: load(path))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(files.SUFFIXES), st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_a_damaged_file_raises_nothing_else(tmp_path: Path, suffix: str, at: int, by: int, behind: bool) -> None:
    path = tmp_path / f"vit{suffix}"
    if not (tmp_path / "whole.npz").exists():
        for each in files.SUFFIXES:
            save(made(FITTING["google"]), tmp_path / f"whole{each}", "google")
    damaged = bytearray((tmp_path / f"whole{suffix}").read_bytes())
    damaged[-1 - at % 2000 if behind else at % 2000] ^= by  # where the archives and headers keep their books
    path.write_bytes(damaged)
    with contextlib.suppress(CheckpointError):
        load(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><title>404</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"\x1f\x8b\x08 compressed", "gzip"),
        (b"just some words", "begins with b'just som'"),
        (b"\x80\x04\x95 a pickle of something else", "cut off or damaged"),
        (b"PK\x03\x04 and no archive", "cut off or damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "vit.pth").write_bytes(content)
    said = refusal(lambda: load(tmp_path / "vit.pth"))
    assert what in said and "vit.pth" in said and "fetch" in said


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "vit.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "readme.txt" in refusal(lambda: load(tmp_path / "vit.pth"))
    torch.save([1, 2], tmp_path / "vit.pth")
    assert "0 state dicts" in refusal(lambda: load(tmp_path / "vit.pth"))


def test_a_note_that_is_damaged_is_refused(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "vit.safetensors", metadata={"vitlib": "{not json"})
    assert "note is no JSON" in refusal(lambda: load(tmp_path / "vit.safetensors"))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.pth")


# Saving


@contextlib.contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file may grow beyond `after` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_a_save_that_fails_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"vit{suffix}"
    save(made(TINY), path)
    before = path.read_bytes()
    other = made(replace(TINY, num_classes=3))
    with full_disk(after=len(before) // 2), pytest.raises((OSError, RuntimeError, SafetensorError)):
        save(other, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


def test_vitlib_imports_no_reader_of_files() -> None:
    code = "import sys, vitlib; print(*sorted({'safetensors', 'transformers', 'vitlib.files'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
