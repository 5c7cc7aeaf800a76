"""Nothing is guessed in silence: what files and callers say is obeyed, and what contradicts itself is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.vitlib.backbones.test_presets import make
from tests.vitlib.weights.shared import FITTING, TINY, assert_equal, made, refusal, tensors
from tests.vitlib.weights.test_sources import in_parts
from vitlib.backbones.swin import Swin
from vitlib.vit.model import ViT
from vitlib.weights import convert, load, load_into, save


def folder(path: Path, config: dict[str, Any], layout: str = "hf-disk") -> Path:
    save_file(
        {name: each.contiguous() for name, each in convert(tensors(), layout).items()}, path / "model.safetensors"
    )
    (path / "config.json").write_text(json.dumps(config))
    return path


# What lies beside the weights


def test_classes_with_the_same_name_get_their_number(tmp_path: Path) -> None:
    """ImageNet has two cranes, a bird and a machine."""
    names = ["ant", "crane", "bee", "crane", "elk"]
    folder(tmp_path, {"num_attention_heads": 4, "id2label": dict(enumerate(names))})
    assert load(tmp_path).config.class_names == ("ant", "crane (1)", "bee", "crane (3)", "elk")


def test_labels_with_gaps_are_left_out_with_a_warning(tmp_path: Path) -> None:
    labels = {str(k): f"class {k}" for k in (0, 1, 2, 3, 7)}
    folder(tmp_path, {"num_attention_heads": 4, "id2label": labels})
    with pytest.warns(UserWarning, match=r"numbers its classes 0, 1, 2, 3, 7: expected 0…4"):
        assert load(tmp_path).config.class_names == ()


def test_names_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    told: dict[str, Any] = {"num_heads": 4, "class_names": ("a", "b")}
    assert "class_names has 2 names: expected 5" in refusal(lambda: load(tensors(), **told))
    assert load(tensors(), num_classes=2, **told).config.class_names == ("a", "b")  # of the new head
    folder(tmp_path, {"num_attention_heads": 4, "id2label": {0: "a", 1: "b"}})
    assert "class_names has 2 names: expected 5" in refusal(lambda: load(tmp_path))
    assert load(tmp_path, class_names=()).config.class_names == ()


def test_a_config_of_transformers_is_read_beside_names_of_timm(tmp_path: Path) -> None:
    folder(tmp_path, {"num_attention_heads": 4, "layer_norm_eps": 0.1, "hidden_act": "gelu_new"}, layout="timm")
    config = load(tmp_path).config
    assert (config.num_heads, config.eps, config.gelu) == (4, 0.1, "tanh")


@pytest.mark.parametrize("pool", ["avgmax", "max", ""])
def test_another_pooling_is_refused(pool: str, tmp_path: Path, as_a_learner: None) -> None:
    folder(tmp_path, {"architecture": "vit", "global_pool": pool, "model_args": {"num_heads": 4}}, layout="timm")
    assert f"global_pool is {pool!r}: expected one of 'token'" in refusal(lambda: load(tmp_path))
    assert load(tmp_path, global_pool="token").config.global_pool == "token"
    save_file(dict(make("convnext").state_dict()), tmp_path / "model.safetensors")
    assert f"config.json says global_pool={pool!r}" in refusal(lambda: load(tmp_path))


@pytest.mark.parametrize(
    ("name", "gelu"),
    [
        ("vit_base_patch16_siglip_224", "erf"),
        ("vit_so400m_patch14_siglip_384", "erf"),
        ("vit_so400m_patch16_siglip_256.v2_webli", "tanh"),
        ("vit_large_patch16_siglip_gap_512", "tanh"),
        ("vit_large_patch16_siglip_384", "erf"),
    ],
)
def test_timms_architectures_with_the_other_gelu(name: str, gelu: str, tmp_path: Path) -> None:
    folder(tmp_path, {"architecture": name, "model_args": {"num_heads": 4}}, layout="timm")
    assert load(tmp_path).config.gelu == gelu


def test_a_mean_that_is_null_is_the_librarys(tmp_path: Path) -> None:
    folder(tmp_path, {"num_attention_heads": 4})
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": null, "image_std": [0.1, 0.2, 0.3]}')
    config = load(tmp_path).config
    assert (config.mean, config.std) == ((0.5,), (0.1, 0.2, 0.3))


# What the caller says


def test_heads_that_the_tensors_show_are_not_overruled() -> None:
    state = convert(tensors(FITTING["google"]), "google", num_heads=4)
    assert "tensors show num_heads=4" in refusal(lambda: load(state, num_heads=8))


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for suffix in (".safetensors", ".npz", ".pth"):
        save(made(TINY), tmp_path / f"it{suffix}")
        assert "no state dict 'ema'" in refusal(lambda suffix=suffix: load(tmp_path / f"it{suffix}", part="ema"))
    assert "no state dict 'ema'" in refusal(lambda: load(tensors(), part="ema", num_heads=4))


def test_a_training_checkpoint_in_memory_is_read_as_its_file_is() -> None:
    whole: Any = {"model": tensors(), "ema": tensors(), "epoch": 3}
    assert "choose one with part=: 'model', 'ema'" in refusal(lambda: load(whole, num_heads=4))
    assert_equal(load(whole, part="ema", num_heads=4).state_dict(), tensors())
    assert "holds 0 state dicts" in refusal(lambda: load({"epoch": 3, "lr": 0.1}))


def test_one_pattern_drops_what_it_names_alone() -> None:
    state = tensors() | {"decoder.weight": torch.zeros(3)}
    assert_equal(load(state, num_heads=4, drop="decoder.*").state_dict(), tensors())


def test_a_double_stays_a_double() -> None:
    state = {name: each.double() + 1e-12 for name, each in tensors().items()}
    assert_equal(load(state, num_heads=4, dtype=torch.float64).state_dict(), state)


def test_shapes_without_numbers_are_refused() -> None:
    state = {name: each.to("meta") for name, each in tensors().items()}
    assert "on the meta device" in refusal(lambda: load(state, num_heads=4))


def test_a_square_patch_is_the_same_as_its_side(tmp_path: Path) -> None:
    model = made(replace(TINY, patch_size=(8, 8)))
    assert model.config == TINY
    assert load(tensors(), num_heads=4, patch_size=(8, 8)).config.patch_size == 8
    load_into(model, tensors())
    save_file(tensors(), tmp_path / "it.safetensors", metadata={"vitlib": '{"patch_size": [8, 8], "num_heads": 4}'})
    assert load(tmp_path / "it.safetensors").config.patch_size == 8


def test_a_list_is_as_good_as_a_tuple() -> None:
    assert load(make("swin").state_dict(), image_size=(16, 32), depths=[2, 1]).config.depths == (2, 1)


# What the model says that is filled


@pytest.mark.parametrize("channels", [3, 1])
def test_a_plain_state_dict_leaves_the_model_its_eps_and_normalisation(channels: int) -> None:
    mine = replace(TINY, in_chans=channels, mean=(0.1,) * channels, std=(0.2,), eps=1e-3, resize="hf")
    model = ViT(mine)
    load_into(model, tensors())
    assert model.config == mine


def test_positions_that_fit_two_grids_are_not_taken_for_those_of_the_model() -> None:
    """16 rows: 4 × 4 patches as well as the model's 2 × 8."""
    state = tensors(replace(TINY, prefix_positions="none"))
    assert "made_for=(height, width)" in refusal(lambda: load_into(ViT(replace(TINY, image_size=(16, 64))), state))


def test_a_width_of_an_mlp_that_is_no_fraction(tmp_path: Path) -> None:
    config = make("swin").config
    model = Swin(replace(config, embed_dim=24, mlp_ratio=3.1))  # 74 hidden numbers: 24 · 3.1 = 74.4
    save(model, tmp_path / "it.safetensors")
    assert load(tmp_path / "it.safetensors").config == model.config


# Where the weights lie


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', "\x00"])
def test_an_index_of_something_else_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    refusal(lambda: load(tmp_path))


def test_each_tensor_comes_from_the_file_that_the_index_names(tmp_path: Path) -> None:
    in_parts(tmp_path, tensors(), "model")
    for file in tmp_path.glob("*.safetensors"):
        save_file(load_file(file) | {"norm.bias": torch.zeros(32)}, file)
    assert "disagree about norm.bias" in refusal(lambda: load(tmp_path, num_heads=4))


def test_an_empty_checkpoint_is_named(tmp_path: Path) -> None:
    save_file({}, tmp_path / "it.safetensors")
    assert "holds no tensors" in refusal(lambda: load(tmp_path / "it.safetensors"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_with_weights_is_named(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "it.pt"))
    assert "is a TorchScript archive" in refusal(lambda: load(tmp_path / "it.pt"))


# Relatives


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["deit.encoder.layer.0.output.dense.bias", "deit.embeddings.distillation_token"], "a distilled DeiT"),
        (["vision_model.encoder.layers.0.self_attn.q_proj.bias"], "tower of CLIP or SigLIP"),
        (["visual.transformer.resblocks.0.ln_1.bias"], "a CLIP as OpenAI names it"),
        (["beit.encoder.layer.0.attention.attention.relative_position_bias.x"], "such as Swin or BEiT"),
        (["layers.0.blocks.0.attn.cpb_mlp.0.bias", "layers.0.blocks.0.norm1.bias"], "Swin V2"),
    ],
)
def test_relatives_that_do_not_fit_are_named(names: list[str], what: str) -> None:
    assert what in refusal(lambda: load({name: torch.zeros(1) for name in names}))


def test_a_whole_swin_of_the_second_version_is_named() -> None:
    state = {name.replace("relative_position_bias_table", "logit_scale"): each
             for name, each in make("swin").state_dict().items()}  # fmt: skip
    assert "(this looks like the second version, Swin V2)" in refusal(lambda: load(state, image_size=(16, 32)))


def test_a_masked_autoencoder_loads_without_its_decoder() -> None:
    state = convert(tensors(replace(TINY, num_classes=0)), "hf-disk") | {"decoder.mask_token": torch.zeros(1, 1, 8)}
    assert "masked autoencoder; name the decoder in drop=" in refusal(lambda: load(state, num_heads=4))
    assert load(state, num_heads=4, drop="decoder.*").config.num_classes == 0
