"""Swin, ConvNeXt and hybrids from a file: built from their shapes and the note, in every library's names, and saved."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.vitlib.backbones.test_presets import REFERENCE, formula, hf_convnext, hf_swin, make, ours, pictures, shapes
from tests.vitlib.reference.make import images
from tests.vitlib.weights.shared import assert_equal, refusal
from vitlib.models import create
from vitlib.weights import convert, detect, load, load_into, save

KINDS = ["swin", "convnext", "hybrid", "swin, no classifier", "convnext, no classifier"]
every_kind = pytest.mark.parametrize("kind", KINDS)


@torch.no_grad()
@pytest.mark.parametrize("name", REFERENCE)
def test_timms_and_torchvisions_weights_make_their_models(name: str) -> None:
    """The shapes show all but the size of the pictures and, of a hybrid, the number of heads."""
    reference = REFERENCE[name]
    told = {field: value for field, value in reference["config"].items() if field == "num_heads" and "hybrid" in name}
    size = tuple(reference["config"]["image_size"])
    model = load(formula(reference["shapes"]), image_size=size, **told)
    expected = ours(reference)
    assert type(model) is type(expected)
    of_the_library = dict.fromkeys(("mean", "std", "resize"))
    assert vars(model.config) | of_the_library == vars(expected.config) | of_the_library
    answers = model(images(model.config.in_chans, *size))
    torch.testing.assert_close(answers, torch.tensor(reference["logits"]), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("pair", [hf_swin, hf_convnext])
def test_a_folder_of_transformers_is_read(pair: Any, tmp_path: Path) -> None:
    theirs, expected = pair()
    theirs.load_state_dict(formula(shapes(theirs)), strict=False)
    theirs.eval().save_pretrained(tmp_path)
    size = None if pair is hf_swin else (32, 48)  # config.json says it, or does not
    model = load(tmp_path, image_size=size)
    assert model.config == expected.config
    batch = images(3, *model.config.image_size)
    torch.testing.assert_close(model(batch), theirs(batch).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pair", [hf_swin, hf_convnext])
def test_the_layout_that_is_detected_can_be_named(pair: Any) -> None:
    theirs, _ = pair()
    for state in (theirs.state_dict(), convert(theirs.state_dict(), "timm")):
        assert_equal(convert(state, "timm", detect(state)), convert(state, "timm"))


@torch.no_grad()
@every_kind
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz"])
def test_a_saved_model_comes_back_whole(kind: str, suffix: str, tmp_path: Path) -> None:
    model = make(kind)
    save(model, tmp_path / f"it{suffix}")
    back = load(tmp_path / f"it{suffix}")
    assert type(back) is type(model) and back.config == model.config
    assert_equal(back.state_dict(), model.state_dict())
    assert torch.equal(back(pictures(model)), model(pictures(model)))
    other = type(model)(model.config)
    load_into(other, tmp_path / f"it{suffix}")
    assert_equal(other.state_dict(), model.state_dict())


@every_kind
def test_what_a_file_holds_are_timms_names(kind: str, tmp_path: Path) -> None:
    model = make(kind)
    save(model, tmp_path / "it.pth")
    assert_equal(torch.load(tmp_path / "it.pth", weights_only=True), dict(model.state_dict()))


@pytest.mark.parametrize("kind", ["swin", "convnext", "hybrid"])
def test_other_classes_and_sizes(kind: str, tmp_path: Path) -> None:
    model = make(kind)
    save(model, tmp_path / "it.safetensors")
    back = load(tmp_path / "it.safetensors", num_classes=3, image_size=(32, 64))
    assert (back.config.num_classes, back.config.image_size) == (3, (32, 64))
    assert back(pictures(back)).shape == (3, 3)

    def body(each: nn.Module) -> dict[str, Tensor]:
        return {key: value for key, value in each.state_dict().items() if key not in untold(kind)}

    assert_equal(body(back), body(model))
    other = type(model)(back.config)
    head = {key: value.clone() for key, value in other.state_dict().items() if key in untold(kind)}
    load_into(other, tmp_path / "it.safetensors", new_head=True)
    assert_equal(body(other), body(model))
    assert all(torch.equal(other.state_dict()[key], value) for key, value in head.items() if "head" in key)


def untold(kind: str) -> set[str]:
    """What other classes and sizes change."""
    return {"head.weight", "head.bias", "pos_embed"} if kind == "hybrid" else {"head.fc.weight", "head.fc.bias"}


def test_half_precision_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    for kind in ("swin", "hybrid"):
        save(make(kind).half(), tmp_path / "half.safetensors")
        assert "holds torch.float16" in refusal(lambda: load(tmp_path / "half.safetensors"))
        whole = load(tmp_path / "half.safetensors", dtype=torch.float32)
        assert {each.dtype for each in whole.parameters()} == {torch.float32}
        assert torch.isfinite(whole(pictures(whole))).all()


def test_a_config_beside_the_file_says_size_mean_and_deviation(tmp_path: Path) -> None:
    torch.save(dict(make("swin").state_dict()), tmp_path / "timm.pth")
    told = {"pretrained_cfg": {"input_size": [3, 32, 16], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    config = load(tmp_path / "timm.pth").config
    assert (config.image_size, config.mean, config.std) == ((32, 16), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    swin, hybrid, convnext = (dict(make(kind).state_dict()) for kind in ("swin", "hybrid", "convnext"))
    assert "21 pixels wide: no multiple of patch_size" in refusal(lambda: load(swin, image_size=(16, 21)))
    assert "nothing in the weights shows it: give image_size=" in refusal(lambda: load(create_odd().state_dict()))
    assert "the tensors are of a Swin, which has no kernel_size" in refusal(lambda: load(swin, kernel_size=3))
    assert "tensors show embed_dim=8, and an argument" in refusal(lambda: load(swin, embed_dim=9))
    table = "layers.0.blocks.0.attn.relative_position_bias_table"
    assert f"{table} is missing" in refusal(lambda: load({key: swin[key] for key in swin if key != table}))
    assert "is 5: expected 2 axes" in refusal(lambda: load(swin | {table: torch.zeros(5)}))
    lacking = {key: convnext[key] for key in convnext if key != "head.norm.bias"}
    assert "head.norm.bias" in refusal(lambda: load(lacking, image_size=(16, 32)))
    broken = convnext | {"stem.0.bias": torch.full((8,), torch.nan)}
    assert "(NaN or infinity) in stem.0.bias" in refusal(lambda: load(broken))

    stem = "patch_embed.backbone.1"
    told: dict[str, Any] = {"num_heads": 4, "made_for": (16, 32)}
    without_layer = {key: hybrid[key] for key in hybrid if key != f"{stem}.conv.weight"}
    assert f"{stem}.conv.weight is missing" in refusal(lambda: load(without_layer, **told))
    without_mean = {key: hybrid[key] for key in hybrid if key != f"{stem}.bn.running_mean"}
    assert f"{stem}.bn.running_mean" in refusal(lambda: load(without_mean, **told))
    wider = hybrid | {f"{stem}.bn.bias": torch.zeros(3)}
    assert "is 3, expected 8" in refusal(lambda: load(wider, **told))

    assert "saved by timm's names alone, not by hf's" in refusal(lambda: save(make("swin"), tmp_path / "a.pth", "hf"))
    assert "a Hybrid is saved by timm's" in refusal(lambda: save(make("hybrid"), tmp_path / "a.pth", "google"))
    save(make("swin"), tmp_path / "swin.pth")
    other = create("swin_cifar_patch2_window4_32", seed=0)
    assert "depths is (2, 4, 2) in the model and (2, 1)" in refusal(lambda: load_into(other, tmp_path / "swin.pth"))
    assert "kind is 'ConvNeXt' in the model and 'Swin' in the checkpoint" in refusal(
        lambda: load_into(make("convnext"), tmp_path / "swin.pth")
    )
    assert [path.name for path in tmp_path.iterdir()] == ["swin.pth"]


def create_odd() -> Any:
    """Patches of 3: 224 pixels make no whole patches."""
    return create("swin_cifar_patch2_window4_32", patch_size=3, image_size=36, embed_dim=8, num_heads=(1, 2, 4))
