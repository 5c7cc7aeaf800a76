"""There and back: every layout holds every bit, and older spellings are read."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.vitlib.reference.make import weights
from tests.vitlib.weights.shared import FITTING, TINY, assert_equal, made, pictures, refusal, tensors
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights import convert, detect, files, load, save
from vitlib.weights.recognise import LAYOUTS
from vitlib.weights.renaming import move_rows

choices = {
    "patch_size": st.integers(1, 4),
    "rows": st.integers(1, 4),
    "columns": st.integers(1, 4),
    "num_heads": st.integers(1, 3),
    "mlp_ratio": st.sampled_from([0.75, 1.0, 3.1, 4.0]),
    "in_chans": st.sampled_from([1, 3]),
    "num_classes": st.sampled_from([0, 1, 4]),
    "depth": st.integers(1, 3),
}
configs = st.fixed_dictionaries(choices)


def drawn(rows: int, columns: int, patch_size: int, num_heads: int, **more: Any) -> ViTConfig:
    return ViTConfig(
        (patch_size * rows, patch_size * columns), patch_size, embed_dim=8 * num_heads, num_heads=num_heads, **more
    )


@settings(max_examples=25)
@given(configs, st.sampled_from(["torchvision", "hf", "hf-disk", "google", "timm"]))
def test_there_and_back_every_bit_is_the_same(choices: dict[str, Any], layout: str) -> None:
    config = drawn(**choices)
    state = tensors(config)
    theirs = convert(state, layout, "timm", num_heads=config.num_heads, form="all")
    assert detect(theirs) == layout
    assert_equal(convert(theirs, "timm"), state)
    assert_equal(convert(convert(theirs, "timm"), layout, num_heads=config.num_heads, form="all"), theirs)


@settings(max_examples=15)
@given(configs, st.integers(0, 3), st.sampled_from(["dinov2", "hf-dinov2"]))
def test_dinov2_there_and_back(choices: dict[str, Any], registers: int, layout: str) -> None:
    config = replace(drawn(**choices), num_classes=0, reg_tokens=registers, prefix_positions="cls", layer_scale=0.1)
    theirs = convert(tensors(config), layout, "timm", form="cls") | {"mask_token": torch.rand(1, config.embed_dim)}
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
        replace(TINY, reg_tokens=3, prefix_positions="all"),
        replace(TINY, reg_tokens=3, prefix_positions="cls"),
        replace(TINY, reg_tokens=3, prefix_positions="none"),
    ):
        model = made(config)
        expected = model(pictures())
        for form in ("all", "cls", "none"):
            other = ViT(replace(config, prefix_positions=form)).eval()
            other.load_state_dict(move_rows(model.state_dict(), config.prefix_rows, other.config.prefix_rows))
            torch.testing.assert_close(other(pictures()), expected, rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["torchvision", "hf", "google", "big_vision"])
@pytest.mark.parametrize("form", ["all", "none"])
def test_positions_of_cls_fit_every_layout(layout: str, form: Any) -> None:
    model = made(replace(TINY, prefix_positions=form))
    theirs = convert(model.state_dict(), layout, num_heads=4)  # the form is told by counting
    back = load(theirs, num_heads=4, eps=1e-6, gelu="erf")
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
    theirs = convert(tensors(config), layout, "timm", num_heads=4, form=config.prefix_positions)
    other = respelled(theirs, spell)
    assert other.keys() != theirs.keys() and detect(other) == layout
    assert_equal(convert(other, layout, num_heads=4, form=config.prefix_positions), theirs)


def test_a_training_checkpoint_holds_its_state_dict_in_a_part(tmp_path: Path) -> None:
    state = tensors()
    torch.save({"model": state, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}, tmp_path / "one.pth")
    assert_equal(load(tmp_path / "one.pth", num_heads=4).state_dict(), state)
    torch.save({"model": state, "model_ema": weights({name: tuple(t.shape) for name, t in state.items()})},
               tmp_path / "two.pth")  # fmt: skip
    said = refusal(lambda: load(tmp_path / "two.pth", num_heads=4))
    assert "2 state dicts; choose one with part=: 'model', 'model_ema'" in said
    assert_equal(load(tmp_path / "two.pth", part="model_ema", num_heads=4).state_dict(), state)
    assert "no state dict 'ema'" in refusal(lambda: load(tmp_path / "two.pth", part="ema", num_heads=4))


def test_torch_before_1_6_wrote_no_archive(tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_equal(load(tmp_path / "old.pth", num_heads=4).state_dict(), tensors())


def test_bfloat16_travels_in_npz_as_big_vision_writes_it(tmp_path: Path) -> None:
    model = made(FITTING["big_vision"]).to(torch.bfloat16)
    save(model, tmp_path / "vit.npz", "big_vision")
    with np.load(tmp_path / "vit.npz") as arrays:
        assert arrays["embedding/bias"].dtype == "V2"
    assert_equal(load(tmp_path / "vit.npz", dtype=torch.bfloat16).state_dict(), model.state_dict())
