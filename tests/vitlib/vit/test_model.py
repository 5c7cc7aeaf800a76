"""The whole model: timm's names, every kind of it compiled, every intermediate, and clear refusals."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from vitlib.vit.config import ViTConfig
from vitlib.vit.encoder import MLP
from vitlib.vit.model import ViT

SMALL = {
    "image_size": (8, 12),
    "patch_size": (4, 2),
    "in_chans": 2,
    "num_classes": 5,
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 4,
}
KINDS: dict[str, dict[str, Any]] = {
    "as in the paper": {},
    "reg_tokens": {"reg_tokens": 3},
    "registers, positions for CLS": {"reg_tokens": 3, "prefix_positions": "cls"},
    "positions for patches": {"prefix_positions": "none"},
    "CLS positions, no CLS": {"prefix_positions": "cls", "class_token": False, "reg_tokens": 1, "global_pool": "avg"},
    "1D waves": {"positions": "sincos1d"},
    "2D waves": {"positions": "sincos2d", "reg_tokens": 2},
    "no positions": {"positions": "none"},
    "mean": {"global_pool": "avg"},
    "mean with registers": {"global_pool": "avg", "reg_tokens": 2},
    "mean without CLS": {"global_pool": "avg", "class_token": False},
    "mean of normed tokens": {"global_pool": "avg", "norm_before_pool": True},
    "attention pooling": {"global_pool": "map", "class_token": False},
    "layer scale, tanh": {"layer_scale": 0.1, "gelu": "tanh", "eps": 1e-12},
    "as the formula is written": {"fused": False},
    "no classifier": {"num_classes": 0},
    "last block whole": {"trim": False},
    "regularised": {"dropout": 0.1, "drop_path_rate": 0.2},
    "one block": {"depth": 1},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(**choices: Any) -> ViT:
    """A small model whose tokens, positions and latent are far from zero."""
    model = ViT(ViTConfig(**{**SMALL, **choices}), torch.Generator().manual_seed(0)).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    return model


def pictures(count: int = 3) -> Tensor:
    return torch.randn(count, 2, 8, 12, generator=torch.Generator().manual_seed(2))


# Names


def test_the_parameters_have_timms_names_and_shapes() -> None:
    model = make(depth=1, reg_tokens=3, layer_scale=0.1)
    assert {name: tuple(each.shape) for name, each in model.state_dict().items()} == {
        "cls_token": (1, 1, 16),
        "reg_token": (1, 3, 16),
        "pos_embed": (1, 4 + 2 * 6, 16),
        "patch_embed.proj.weight": (16, 2, 4, 2),
        "patch_embed.proj.bias": (16,),
        "blocks.0.norm1.weight": (16,),
        "blocks.0.norm1.bias": (16,),
        "blocks.0.attn.qkv.weight": (48, 16),
        "blocks.0.attn.qkv.bias": (48,),
        "blocks.0.attn.proj.weight": (16, 16),
        "blocks.0.attn.proj.bias": (16,),
        "blocks.0.ls1.gamma": (16,),
        "blocks.0.norm2.weight": (16,),
        "blocks.0.norm2.bias": (16,),
        "blocks.0.mlp.fc1.weight": (64, 16),
        "blocks.0.mlp.fc1.bias": (64,),
        "blocks.0.mlp.fc2.weight": (16, 64),
        "blocks.0.mlp.fc2.bias": (16,),
        "blocks.0.ls2.gamma": (16,),
        "norm.weight": (16,),
        "norm.bias": (16,),
        "head.weight": (5, 16),
        "head.bias": (5,),
    }


@pytest.mark.parametrize(
    ("choices", "there", "not_there"),
    [
        ({"global_pool": "avg"}, "fc_norm.weight", "norm.weight"),
        ({"global_pool": "avg", "norm_before_pool": True}, "norm.weight", "fc_norm.weight"),
        ({"global_pool": "map"}, "attn_pool.latent", "fc_norm.weight"),
        ({"class_token": False, "global_pool": "avg"}, "pos_embed", "cls_token"),
        ({"positions": "sincos2d"}, "cls_token", "pos_embed"),
        ({"num_classes": 0}, "norm.weight", "head.weight"),
    ],
)
def test_what_a_model_lacks_has_no_parameters(choices: dict[str, Any], there: str, not_there: str) -> None:
    names = set(make(**choices).state_dict())
    assert there in names
    assert not_there not in names


# Numbers


@every_kind
def test_return_all_has_the_same_logits_bit_for_bit(kind: str) -> None:
    model = make(**KINDS[kind])
    out = model(pictures(), return_all=True)
    assert torch.equal(out["logits"], model(pictures()))
    last = model.config.depth - 1
    assert list(out)[-4:] == [f"blocks.{last}.+mlp", "norm", "pooled", "logits"]
    assert torch.equal(out["blocks.0.+attn"], out["tokens"] + out["blocks.0.attn"])


@every_kind
def test_a_trimmed_last_block_changes_no_logit_and_no_gradient(kind: str) -> None:
    images = pictures().double()
    trimmed, whole = (make(**KINDS[kind] | {"trim": trim}).double() for trim in (True, False))
    torch.testing.assert_close(trimmed(images), whole(images))
    gradients = [torch.autograd.grad(each(images).square().sum(), list(each.parameters())) for each in (trimmed, whole)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("class_token", "registers"), [(True, 0), (True, 2), (False, 0), (False, 2)])
def test_the_mean_is_of_the_patches_alone(class_token: bool, registers: int) -> None:
    model = make(global_pool="avg", class_token=class_token, reg_tokens=registers)
    out = model(pictures(), return_all=True)
    patches = out["blocks.1.+mlp"][:, class_token + registers :]
    assert patches.shape[1] == 2 * 6
    torch.testing.assert_close(out["pooled"], model.fc_norm(patches.mean(dim=1)))


def test_the_formula_and_the_fused_kernel_give_the_same_logits() -> None:
    torch.testing.assert_close(make(fused=False)(pictures()), make(fused=True)(pictures()))


def test_without_positions_the_order_of_the_patches_does_not_matter() -> None:
    def shuffled(images: Tensor) -> Tensor:
        return images.unflatten(2, (2, 4)).flip(2).flatten(2, 3)  # the two rows of patches change places

    blind, sighted = make(positions="none").double(), make().double()
    images = pictures().double()
    torch.testing.assert_close(blind(shuffled(images)), blind(images))
    assert (sighted(shuffled(images)) - sighted(images)).abs().max() > 1e-3


def test_at_first_every_class_is_nearly_as_likely_as_any_other() -> None:
    model = ViT(ViTConfig(**SMALL), torch.Generator().manual_seed(0))
    loss = torch.nn.functional.cross_entropy(model(pictures(64)), torch.arange(64) % 5)
    assert loss.item() == pytest.approx(math.log(5), abs=0.02)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (ViT(ViTConfig(**SMALL), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)  # type: ignore[arg-type]


def test_a_model_learns_one_batch_by_heart() -> None:
    model = make(drop_path_rate=0.0).train()
    images, labels = pictures(5), torch.arange(5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@every_kind
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    model = make(**KINDS[kind])
    (model(pictures()) * torch.linspace(1, 2, 3)[:, None]).square().sum().backward()
    missing = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()]
    assert missing == []


def test_a_model_can_be_copied_and_stored(tmp_path: Any) -> None:
    model = make()
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = ViT(model.config)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    for each in (other, copy.deepcopy(model)):
        assert torch.equal(each(pictures()), model(pictures()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_takes_pictures_of_either_precision(dtype: torch.dtype) -> None:
    model = make()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(pictures().to(dtype))
    torch.testing.assert_close(rough.float(), model(pictures()), rtol=0, atol=0.1)


def test_the_numbers_of_the_configuration_reach_every_layer() -> None:
    layers = list(make(eps=1e-3, gelu="tanh", mlp_ratio=2.0, global_pool="map").modules())
    assert {each.eps for each in layers if isinstance(each, torch.nn.LayerNorm)} == {1e-3}
    assert {each.approximate for each in layers if isinstance(each, torch.nn.GELU)} == {"tanh"}
    assert {each.fc1.out_features for each in layers if isinstance(each, MLP)} == {32}
    assert make(eps=1e-3, global_pool="avg").fc_norm.eps == 1e-3


# Regularised


def test_later_blocks_are_skipped_more_often() -> None:
    model = make(depth=3, drop_path_rate=0.2)
    assert isinstance(model.blocks[0].drop, torch.nn.Identity)
    assert [block.drop.path for block in model.blocks[1:]] == [pytest.approx(0.1), 0.2]


def test_dropout_reaches_tokens_and_branches_in_training_only() -> None:
    model = make(dropout=0.5)
    for training in (True, False):
        out = model.train(training)(pictures(), return_all=True)
        assert [(out[name] == 0).any().item() for name in ("tokens", "blocks.1.attn", "blocks.1.mlp")] == [training] * 3


# Compiled


@every_kind
def test_compile_takes_the_whole_model_in_one_graph(kind: str, as_a_learner: None) -> None:
    torch.compiler.reset()
    model = make(**KINDS[kind])
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert torch.equal(compiled(pictures()), model(pictures()))
    assert torch.equal(compiled(pictures(), return_all=True)["logits"], model(pictures()))


@pytest.mark.parametrize("kind", ["as in the paper", "mean", "attention pooling", "regularised"])
def test_compile_takes_training_and_autocast_in_one_graph(kind: str, as_a_learner: None) -> None:
    torch.compiler.reset()
    compiled = torch.compile(make(**KINDS[kind]).train(), fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16):
        loss = compiled(pictures()).square().sum()
    loss.backward()
    assert compiled.patch_embed.proj.weight.grad.abs().sum() > 0
