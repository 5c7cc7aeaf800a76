"""What no tensor shows: heads, eps, normalisation, size and classes come from somewhere, or are asked for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.vitlib.weights.shared import FITTING, TINY, assert_equal, made, refusal, tensors
from vitlib.backbones.windowed_attention import with_windows
from vitlib.models import create
from vitlib.vit.config import ViTConfig
from vitlib.vit.model import ViT
from vitlib.weights import convert, load, load_into, save
from vitlib.weights.config import config_of
from vitlib.weights.recognise import LAYOUTS


def test_saved_files_are_what_their_own_libraries_read(tmp_path: Path) -> None:
    """The note lies where other readers don't look."""
    model = made(TINY)
    save(model, tmp_path / "vit.pth", "torchvision")
    assert_equal(torch.load(tmp_path / "vit.pth", weights_only=True), convert(model.state_dict(), "torchvision"))
    save(made(FITTING["google"]), tmp_path / "vit.npz", "google")
    with np.load(tmp_path / "vit.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(convert(tensors(), "google", num_heads=4))


def test_choices_come_from_the_caller_then_the_note_then_the_library(tmp_path: Path) -> None:
    state = tensors()
    assert load(state, num_heads=4).config.eps == 1e-6
    assert load(convert(state, "hf"), num_heads=4).config.eps == 1e-12
    assert load(convert(state, "hf"), num_heads=4, eps=1e-3).config.eps == 1e-3
    save(made(replace(TINY, eps=1e-4)), tmp_path / "vit.pt", "hf")
    assert load(tmp_path / "vit.pt").config.eps == 1e-4
    assert load(tmp_path / "vit.pt", eps=1e-3).config.eps == 1e-3


def test_what_each_library_computes_with() -> None:
    def of(layout: str, config: ViTConfig) -> tuple[Any, ...]:
        theirs = convert(tensors(config), layout, "timm", num_heads=4, form=config.prefix_positions)
        c = load(theirs, num_heads=4).config
        return c.eps, c.gelu, len(c.mean), c.resize

    assert of("timm", TINY) == (1e-6, "erf", 1, "timm")
    assert of("torchvision", TINY) == (1e-6, "erf", 3, "torchvision")
    assert of("hf", TINY) == of("hf-disk", TINY) == (1e-12, "erf", 1, "hf")
    assert of("google", TINY) == of("big_vision", TINY) == (1e-6, "tanh", 1, "google")
    assert of("hf-dinov2", FITTING["dinov2"]) == (1e-6, "erf", 3, "timm")  # its registers came with antialiasing
    without = replace(FITTING["dinov2"], reg_tokens=0, prefix_positions="all")
    theirs = convert(tensors(without), "dinov2", "timm", form="all") | {"mask_token": torch.zeros(1, 32)}
    assert load(theirs, num_heads=4).config.resize == "dinov2"


def test_normalisation_is_read_beside_the_file(tmp_path: Path) -> None:
    save_file(convert(tensors(), "hf-disk"), tmp_path / "model.safetensors")
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}')
    model = load(tmp_path, num_heads=4)
    assert (model.config.mean, model.config.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    save_file(tensors(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(
        json.dumps(
            {"architecture": "vit", "pretrained_cfg": {"mean": [0.7] * 3, "std": [0.8] * 3, "input_size": [3, 32, 32]}}
        )
    )
    assert load(tmp_path, num_heads=4).config.mean == (0.7, 0.7, 0.7)


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
    with pytest.warns(UserWarning, match=f"says how many heads attention has: {heads} are taken"):
        assert config_of(shapes, LAYOUTS["timm"], {}).num_heads == heads
    other = replace(TINY, embed_dim=width, num_heads=8)  # a model that is there knows better
    assert config_of(shapes, LAYOUTS["timm"], {}, like=other).num_heads == 8


def test_heads_of_a_small_model_are_asked_for() -> None:
    with pytest.warns(UserWarning, match="Give num_heads= to be sure"):
        assert load(tensors(create("vit_digits_patch2_8").config)).config.num_heads == 4  # one of ours
    assert "give num_heads=" in refusal(lambda: load(tensors()))
    assert load(tensors(), like=TINY).config.num_heads == 4


def test_a_grid_that_is_no_square_is_asked_for() -> None:
    config = replace(TINY, image_size=(16, 40))
    assert "made_for=(height, width)" in refusal(lambda: load(tensors(config), num_heads=4))
    assert load(tensors(config), num_heads=4, made_for=(16, 40)).config == config
    said = refusal(lambda: load(tensors(config), num_heads=4, made_for=(16, 48)))
    assert "10 + 1 or 11 + 0 rows" in said and "16×48 pixels has 12 patches" in said
    # 4 × 4 patches and 2 × 8 are equally many: which of them were the positions made for?
    assert "made_for=" in refusal(lambda: load(tensors(), num_heads=4, image_size=(16, 64)))
    assert load(tensors(), num_heads=4, made_for=32, image_size=(16, 64)).config.image_size == (16, 64)


# Another size, other classes, a model that is there


def test_positions_are_resized_in_the_way_of_the_checkpoint() -> None:
    hf, timm = (load(convert(tensors(), layout), num_heads=4, image_size=(24, 48)) for layout in ("hf", "timm"))
    assert hf.config.image_size == (24, 48)
    assert torch.equal(hf.pos_embed, load(tensors(), num_heads=4, resize="hf").resized((24, 48)).pos_embed)
    assert not torch.allclose(hf.pos_embed, timm.pos_embed, atol=1e-3)


@pytest.mark.parametrize("classes", [0, 3])
def test_other_classes_get_a_new_head(classes: int) -> None:
    model = load(tensors(), num_heads=4, num_classes=classes, generator=torch.Generator().manual_seed(0))
    fresh = ViT(replace(TINY, num_classes=classes), torch.Generator().manual_seed(0)).state_dict()
    for name, each in model.state_dict().items():
        assert torch.equal(each, fresh[name] if name.startswith("head.") else tensors()[name])
    assert (
        load({k: v for k, v in tensors().items() if "head" not in k}, num_heads=4, num_classes=3).head.out_features == 3
    )


def test_half_a_head_is_no_new_head() -> None:
    state = tensors()
    del state["head.bias"]
    assert "missing (1):\n    head.bias" in refusal(lambda: load(state, num_heads=4, num_classes=5))


def test_load_into_fills_a_model_and_its_configuration(tmp_path: Path) -> None:
    save(made(replace(TINY, mean=(0.1,), resize="google")), tmp_path / "vit.safetensors")
    model = ViT(replace(TINY, image_size=(24, 48), dropout=0.1))
    load_into(model, tmp_path / "vit.safetensors")
    assert_equal(model.state_dict(), load(tmp_path / "vit.safetensors", image_size=(24, 48)).state_dict())
    assert (model.config.mean, model.config.resize, model.config.dropout) == ((0.1,), "google", 0.1)


def test_loading_draws_from_no_global_random_state() -> None:
    model, state = made(TINY), tensors()
    before = torch.get_rng_state()
    load(state, num_heads=4)
    load(state, num_heads=4, num_classes=7, generator=torch.Generator().manual_seed(0))
    load_into(model, state)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("always::UserWarning")
def test_cheaper_attention_is_not_written_and_the_warning_says_so(tmp_path: Path) -> None:
    copy = with_windows(made(replace(TINY, patch_size=4)), 4)
    with pytest.warns(UserWarning, match="WindowedAttention is not written"):
        save(copy, tmp_path / "copy.safetensors")
    again = with_windows(load(tmp_path / "copy.safetensors"), 4)
    assert_equal(again.state_dict(), copy.state_dict())


@pytest.mark.parametrize("stored", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("wanted", [torch.bfloat16, torch.float32, torch.float64])
def test_load_into_converts_to_the_dtype_of_the_model(stored: torch.dtype, wanted: torch.dtype) -> None:
    model = ViT(TINY).to(wanted)
    state = {name: each.to(stored) for name, each in tensors().items()}
    load_into(model, state)
    assert_equal(model.state_dict(), {name: each.to(wanted) for name, each in state.items()})


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
        ({"depth": 3, "mlp_ratio": 2.0}, "depth is 3 in the model and 2 in the checkpoint; mlp_ratio is 2.0"),
        ({"global_pool": "avg"}, "global_pool is 'avg' in the model and 'token' in the checkpoint"),
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
