"""Where weights lie: folders, parts, prefixes, the hub's cache; and what the files beside them say."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    SwinModel,
    ViTForImageClassification,
    ViTImageProcessor,
    pipeline,
)
from transformers import SwinConfig as HFSwinConfig
from transformers import (
    ViTConfig as HFViTConfig,
)

from tests.vitlib.backbones.test_presets import formula, make, pictures, shapes
from tests.vitlib.reference.make import images
from tests.vitlib.weights.shared import TINY, assert_equal, made, refusal, tensors
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.models import create
from vitlib.vit.model import ViT
from vitlib.weights import convert, load, load_into, save


def in_parts(folder: Path, state: dict[str, Tensor], kind: str) -> None:
    """As transformers cuts large checkpoints up."""
    names = {name: f"{kind}-0000{1 + i % 2}-of-00002.{'bin' if 'bin' in kind else 'safetensors'}"
             for i, name in enumerate(state)}  # fmt: skip
    for file in set(names.values()):
        part = {name: each.clone() for name, each in state.items() if names[name] == file}
        torch.save(part, folder / file) if "bin" in kind else save_file(part, folder / file)
    whole = "pytorch_model.bin" if "bin" in kind else "model.safetensors"
    (folder / f"{whole}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.mark.parametrize("kind", ["model", "pytorch_model_bin"])
def test_a_folder_in_parts_is_one_checkpoint(kind: str, tmp_path: Path) -> None:
    in_parts(tmp_path, tensors(), kind)
    assert_equal(load(tmp_path, num_heads=4).state_dict(), tensors())
    next(tmp_path.glob("*-00002-of*")).unlink()
    assert "which is not beside it; fetch the whole folder" in refusal(lambda: load(tmp_path, num_heads=4))


def test_a_folder_with_a_bin_or_a_single_file_is_read_and_another_is_refused(tmp_path: Path) -> None:
    assert "holds nothing: expected model.safetensors" in refusal(lambda: load(tmp_path))
    torch.save(tensors(), tmp_path / "pytorch_model.bin")
    assert_equal(load(tmp_path, num_heads=4).state_dict(), tensors())
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "best.pth")
    assert_equal(load(tmp_path, num_heads=4).state_dict(), tensors())
    torch.save(tensors(), tmp_path / "last.pth")
    assert "holds best.pth, last.pth: expected" in refusal(lambda: load(tmp_path))


def test_a_prefix_picks_a_part_of_a_larger_model() -> None:
    whole = {f"student.backbone.{name}": each for name, each in tensors().items()}
    whole |= {"teacher.backbone.x": torch.zeros(1), "student.loss": torch.zeros(1)}
    assert_equal(load(whole, prefix="student.backbone.", num_heads=4).state_dict(), tensors())
    assert "no name begins with 'pupil.'" in refusal(lambda: load(whole, prefix="pupil."))
    swin = {f"encoder.{name}": each for name, each in make("swin").state_dict().items()}
    assert_equal(load(swin, prefix="encoder.", image_size=(16, 32)).state_dict(), make("swin").state_dict())


def test_a_name_of_the_hub_is_read_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client, offline: the cache as it would have left it."""
    repository = tmp_path / "models--someone--tiny-vit"
    save(made(replace(TINY, eps=1e-12)), repository / "snapshots" / "abc", "hf")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("someone/tiny-vit", "hf-hub:someone/tiny-vit", "hf_hub:someone/tiny-vit@main"):
        assert_equal(load(name).state_dict(), tensors())
    with pytest.raises(FileNotFoundError, match="there is no file 'someone/else', and the hub did not give"):
        load("someone/else")
    with pytest.raises(FileNotFoundError):
        load("checkpoints/missing.pth")


# What the files beside the weights say


def hf_folder(folder: Path, pixels: dict[str, Any] | None = None, **changes: Any) -> ViTForImageClassification:
    config = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 128, "num_labels": 5} | changes  # fmt: skip
    theirs = ViTForImageClassification(HFViTConfig(**config)).eval()
    theirs.load_state_dict(formula(shapes(theirs)))
    theirs.save_pretrained(folder)
    if pixels is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    return theirs


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"layer_norm_eps": 0.1}, {"hidden_act": "gelu_new"}])
@pytest.mark.parametrize(
    "pixels",
    [
        {"do_normalize": False, "image_mean": [0.1] * 3, "image_std": [0.2] * 3},
        {"do_rescale": True, "rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [0.5] * 3},
        {"do_rescale": False, "image_mean": [120.0, 110, 100], "image_std": [60.0] * 3},
        {"rescale_factor": 0.01, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]},
    ],
)
def test_transformers_answers_alike_from_bytes_to_logits(changes: Any, pixels: Any, tmp_path: Path) -> None:
    theirs = hf_folder(tmp_path, pixels, **changes)
    model = load(tmp_path)
    picture = torch.randint(0, 256, (3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    prepared = ViTImageProcessor(**pixels, do_resize=False)(picture, return_tensors="pt")["pixel_values"]
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (model.config.mean, model.config.std))
    ours = model((picture[None] / 255 - mean) / std)
    torch.testing.assert_close(ours, theirs(prepared.float()).logits, rtol=1e-4, atol=1e-4)


def test_another_activation_is_refused(tmp_path: Path) -> None:
    hf_folder(tmp_path, hidden_act="relu")
    assert "hidden_act is 'relu': expected a GELU" in refusal(lambda: load(tmp_path))


def test_names_of_classes_come_with_the_model(tmp_path: Path) -> None:
    names = {0: "ant", 1: "bee", 2: "cat", 3: "dog", 4: "elk"}
    hf_folder(tmp_path, id2label=names, label2id={name: k for k, name in names.items()})
    model = load(tmp_path)
    assert model.config.class_names == tuple(names.values())
    assert load(tmp_path, num_classes=3).config.class_names == ()
    mine = ViT(replace(TINY, num_heads=2, eps=1e-12))
    load_into(mine, tmp_path)
    assert mine.config.class_names == tuple(names.values())
    save(model, tmp_path / "it.safetensors")
    assert load(tmp_path / "it.safetensors").config == model.config


def test_the_pipeline_of_transformers_reads_what_save_writes(tmp_path: Path) -> None:
    from PIL import Image

    config = replace(TINY, class_names=tuple("abcde"), mean=(0.1, 0.2, 0.3), std=(0.5,), eps=1e-12)
    model = made(config)
    save(model, tmp_path / "out", "hf")
    assert load(tmp_path / "out").config == replace(config, resize="hf") or load(tmp_path / "out").config == config
    picture = torch.randint(0, 256, (32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    answers = pipeline("image-classification", str(tmp_path / "out"), device="cpu")(Image.fromarray(picture.numpy()))
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (config.mean, config.std))
    with torch.no_grad():
        expected = model((picture.permute(2, 0, 1)[None] / 255 - mean) / std).softmax(dim=-1)[0]
    assert {each["label"]: each["score"] for each in answers} == pytest.approx(
        {name: expected[i].item() for i, name in enumerate("abcde")}, abs=1e-5
    )


@torch.no_grad()
def test_a_config_of_timm_says_heads_pooling_and_activation(tmp_path: Path) -> None:
    config = replace(TINY, global_pool="avg", norm_before_pool=True, gelu="tanh")
    save_file(dict(tensors(config)), tmp_path / "model.safetensors")
    told = {"architecture": "vit_tiny_patch16_224", "global_pool": "avg", "num_classes": 5,
            "model_args": {"num_heads": 4, "act_layer": "gelu_tanh", "fc_norm": False},
            "pretrained_cfg": {"input_size": [3, 32, 32], "label_names": list("abcde")}}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(told))
    model = load(tmp_path)
    assert model.config == replace(config, class_names=tuple("abcde"))
    torch.testing.assert_close(model(images(3, 32, 32)), made(config)(images(3, 32, 32)))
    del told["model_args"]
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert load(tmp_path, num_heads=2).config.num_heads == 2  # the caller knows better than the architecture's name


def test_a_note_in_the_words_of_old_is_read(tmp_path: Path) -> None:
    model = made(replace(TINY, global_pool="avg", reg_tokens=2))
    now = {"patch_size": "patch", "in_chans": "channels", "embed_dim": "width", "num_heads": "heads", "reg_tokens":
           "registers", "global_pool": "pooling", "drop_path_rate": "drop_path"}  # fmt: skip
    note = {now.get(field, field): value for field, value in vars(model.config).items()} | {"pooling": "mean"}
    del note["class_names"]
    save_file(dict(model.state_dict()), tmp_path / "old.safetensors", metadata={"vitlib": json.dumps(note)})
    assert load(tmp_path / "old.safetensors").config == model.config
    swin = make("swin")
    now |= {"window_size": "window"}
    note = {now.get(field, field): value for field, value in vars(swin.config).items()}
    for new in ("class_names", "gelu", "convention"):
        del note[new]
    save_file(dict(swin.state_dict()), tmp_path / "old.safetensors", metadata={"vitlib": json.dumps(note)})
    assert load(tmp_path / "old.safetensors").config == swin.config


# What a model that is there knows


def test_a_plain_state_dict_has_the_heads_of_the_model_it_is_for() -> None:
    config = replace(create("vit_cifar_patch4_32").config, num_heads=6, eps=1e-3, gelu="tanh", trim=False)
    source, target = made(config), ViT(config)
    load_into(target, source.state_dict())
    assert target.config.num_heads == 6
    batch = images(3, 32, 32)
    torch.testing.assert_close(target.eval()(batch), source(batch))
    with pytest.warns(UserWarning, match="nothing in the weights says how many heads"):
        load(source.state_dict())


@pytest.mark.parametrize("kind", ["swin", "convnext"])
def test_a_plain_state_dict_has_the_eps_of_the_model_it_is_for(kind: str) -> None:
    source = make(kind)
    source = type(source)(replace(source.config, eps=1e-2, gelu="tanh"))
    target = type(source)(source.config)
    load_into(target, source.state_dict())
    batch = pictures(source)
    assert target.config == source.config
    torch.testing.assert_close(target(batch), source(batch))


def test_half_precision_and_wrapped_models_are_filled() -> None:
    half = ViT(TINY).bfloat16()
    load_into(half, tensors())
    assert_equal(half.state_dict(), {name: each.bfloat16() for name, each in tensors().items()})
    inner = ViT(TINY)
    load_into(nn.DataParallel(inner), tensors())
    assert_equal(inner.state_dict(), tensors())
    inner = ViT(TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, when torch.compile is first imported
        compiled = torch.compile(inner)
    load_into(compiled, tensors())  # type: ignore[arg-type]
    assert_equal(inner.state_dict(), tensors())
    with pytest.raises(TypeError, match="this is a Linear: expected a ViT, Hybrid, Swin or ConvNeXt"):
        load_into(nn.Linear(2, 2), tensors())


@pytest.mark.parametrize(("wanted", "scale"), [(1, None), (2, 3 / 2), (4, 3 / 4), (7, 3 / 7)])
@pytest.mark.parametrize("kind", ["vit", "hybrid", "swin", "convnext"])
def test_the_first_layer_is_adapted_to_other_channels_as_timm_does(kind: str, wanted: int, scale: float | None) -> None:
    source: Any = made(TINY) if kind == "vit" else make(kind)
    c = source.config
    if c.in_chans != 3:
        source = type(source)(replace(c, in_chans=3, mean=(0.1, 0.2, 0.6), std=(0.5,)))
    target = type(source)(replace(source.config, in_chans=wanted, mean=(0.5,), std=(0.5,)))
    load_into(target, source.state_dict())
    name = {"hybrid": "patch_embed.backbone.0.conv.weight", "convnext": "stem.0.weight"}.get(
        kind, "patch_embed.proj.weight"
    )
    first, here = source.state_dict()[name], target.state_dict()[name]
    if scale is None:
        torch.testing.assert_close(here, first.sum(dim=1, keepdim=True))
    else:
        torch.testing.assert_close(here, torch.cat([first] * 3, dim=1)[:, :wanted] * scale)
    assert target.config.in_chans == wanted and len(target.config.mean) in (1, wanted)
    rest = {key: each for key, each in source.state_dict().items() if key != name}
    assert_equal({key: each for key, each in target.state_dict().items() if key != name}, rest)


# Names of the papers' own code, and backbones without a classifier


def official_swin(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours → microsoft/Swin-Transformer's: a merging belongs to the stage before it."""
    names = {name: name.replace("head.fc.", "head.") for name in state}
    for name in state:
        if ".downsample." in name:
            _, stage, rest = name.split(".", 2)
            names[name] = f"layers.{int(stage) - 1}.{rest}"
    index = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.long)}
    return {names[name]: each for name, each in state.items()} | index


def official_convnext(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours → facebookresearch/ConvNeXt's."""
    theirs = {}
    for name, each in state.items():
        words = name.split(".")
        if words[0] == "stem":
            new = f"downsample_layers.0.{words[1]}.{words[2]}"
        elif words[0] == "stages" and words[2] == "downsample":
            new = f"downsample_layers.{words[1]}.{words[3]}.{words[4]}"
        elif words[0] == "stages":
            rest = ".".join(words[4:]).replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
            new = f"stages.{words[1]}.{words[3]}.{rest}"
        else:
            new = name.replace("head.norm.", "norm.").replace("head.fc.", "head.")
        theirs[new] = each
    return theirs


@pytest.mark.parametrize(("kind", "official"), [("swin", official_swin), ("convnext", official_convnext)])
def test_the_papers_own_names_are_read(kind: str, official: Any, tmp_path: Path) -> None:
    model = make(kind)
    torch.save({"model": official(model.state_dict()), "epoch": 3}, tmp_path / "official.pth")
    size, channels = model.config.image_size, {"mean": model.config.mean, "std": model.config.std}
    loaded = load(tmp_path / "official.pth", image_size=size, **channels)
    assert_equal(loaded.state_dict(), model.state_dict())
    load_into(
        type(model)(model.config), {f"module.{name}": each for name, each in official(model.state_dict()).items()}
    )


@torch.no_grad()
@pytest.mark.parametrize("stored", [False, True])
def test_bare_backbones_of_transformers_are_read(stored: bool, tmp_path: Path) -> None:
    swin = SwinModel(
        HFSwinConfig(image_size=32, patch_size=2, embed_dim=16, depths=[2, 1], num_heads=[2, 4], window_size=4)
    )
    convnext = ConvNextModel(ConvNextConfig(depths=[1, 2], hidden_sizes=[8, 16], num_stages=2))
    for theirs in (swin.eval(), convnext.eval()):
        theirs.load_state_dict(formula(shapes(theirs)), strict=False)
        theirs.save_pretrained(tmp_path)
        model = load(tmp_path if stored else theirs.state_dict(), image_size=32)
        assert model.config.num_classes == 0
        batch = images(3, 32, 32)
        expected = theirs(batch).pooler_output
        torch.testing.assert_close(model(batch), expected, rtol=0, atol=1e-5)


def test_second_versions_are_named() -> None:
    state = {
        "layers.0.blocks.0.attn.logit_scale": torch.zeros(2, 1, 1),
        "layers.0.blocks.0.attn.qkv.weight": torch.zeros(6, 2),
    }
    assert "looks like the second version, Swin V2" in refusal(lambda: load(state))


def test_smaller_tables_of_timm_are_whole_again() -> None:
    """timm takes smaller windows in small grids; what its tables lack are distances that occur in larger ones alone."""
    config = SwinConfig(image_size=(16, 32), patch_size=2, depths=(1, 1), embed_dim=8, num_heads=(1, 2), window_size=7,
                        num_classes=3)  # fmt: skip
    model = Swin(config)
    small = dict(model.state_dict())
    for stage, (high, wide) in enumerate([(7, 7), (4, 7)]):
        name = f"layers.{stage}.blocks.0.attn.relative_position_bias_table"
        table = small[name].T.unflatten(1, (13, 13))
        small[name] = table[:, 7 - high : 6 + high, 7 - wide : 6 + wide].flatten(1).T
    loaded = load(small, image_size=(16, 32)).eval()
    torch.testing.assert_close(loaded(pictures(model)), model.eval()(pictures(model)))


def test_what_convert_gives_still_loads() -> None:
    assert_equal(load(convert(tensors(), "hf"), num_heads=4).state_dict(), tensors())
