"""What the files beside the weights say: config.json, preprocessor_config.json, the note in the file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    ViTConfig as HFViTConfig,
)
from transformers import (
    ViTForImageClassification,
    ViTImageProcessor,
    pipeline,
)

from tests.vitlib.backbones.test_presets import formula, make, shapes
from tests.vitlib.reference.make import images
from tests.vitlib.weights.shared import TINY, made, refusal, tensors
from vitlib.vit.model import ViT
from vitlib.weights import load, load_into, save


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
