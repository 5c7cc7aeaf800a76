"""Every model leaves Python: torch.export and ONNX, for batches of any size, with the answers of the model itself."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.vitlib.backbones.test_presets import make
from tests.vitlib.weights.shared import TINY, made
from vitlib.backbones.pooled_attention import with_pooled_keys
from vitlib.backbones.swin import Swin, SwinConfig
from vitlib.backbones.token_merging import MergedViT
from vitlib.backbones.windowed_attention import with_windows

COPIES: dict[str, Any] = {
    "windows": lambda vit: with_windows(vit, 2),
    "pooled keys": lambda vit: with_pooled_keys(vit, 2),
    "merged": lambda vit: MergedViT(vit, 2),
}
BACKBONES = ["vit", "swin", "swin, filled up", "convnext", "hybrid"]
KINDS = [*BACKBONES, *COPIES]


def model_of(kind: str) -> Any:
    if kind == "vit":
        return made(TINY)
    if kind in COPIES:
        return COPIES[kind](made(replace(TINY, image_size=(16, 32)))).eval()
    if kind == "swin, filled up":
        config = SwinConfig(image_size=(20, 36), patch_size=2, depths=(2, 2), embed_dim=8, num_heads=(1, 2),
                            window_size=4, num_classes=3)  # fmt: skip
        return Swin(config, torch.Generator().manual_seed(0)).eval()
    return make(kind)


def batches(model: Any) -> list[torch.Tensor]:
    c = model.config
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(count, c.in_chans, *c.image_size, generator=draw) for count in (1, 3, 8)]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own deprecations
        yield


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_model_takes_any_batch(kind: str) -> None:
    model = model_of(kind)
    any_batch = {"images": {0: torch.export.Dim("batch", min=1, max=1024)}}
    exported = torch.export.export(model, (batches(model)[1],), dynamic_shapes=any_batch).module()
    for batch in batches(model):
        torch.testing.assert_close(exported(batch), model(batch), rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kind", [*BACKBONES, "merged"])  # the other copies consist of operations that Swin has, too
def test_onnxruntime_gives_the_answers_of_the_model(kind: str, tmp_path: Path) -> None:
    import onnxruntime

    model, path = model_of(kind), str(tmp_path / "model.onnx")
    any_batch = {"images": {0: torch.export.Dim("batch", min=1, max=1024)}}
    example = (batches(model)[1],)
    torch.onnx.export(
        model, example, path, input_names=["images"], dynamic_shapes=any_batch, dynamo=True, verbose=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in batches(model):
        (answers,) = session.run(None, {"images": batch.numpy()})
        torch.testing.assert_close(torch.tensor(answers), model(batch), rtol=0, atol=1e-4)


@pytest.mark.usefixtures("as_a_learner")  # while it traces, torch gives sizes that are no int
@pytest.mark.parametrize("kind", KINDS)
def test_a_traced_model_takes_any_batch(kind: str) -> None:
    model = model_of(kind)
    traced = torch.jit.trace(model, batches(model)[1])  # with gradients, as most call it; it checks itself without
    for batch in batches(model):
        torch.testing.assert_close(traced(batch), model(batch), rtol=0, atol=1e-5)
