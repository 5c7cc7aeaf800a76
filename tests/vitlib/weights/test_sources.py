"""Where weights lie: folders, parts, prefixes, and the cache of the hub."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.vitlib.backbones.test_presets import make
from tests.vitlib.weights.shared import TINY, assert_equal, made, refusal, tensors
from vitlib.weights import load, save


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
