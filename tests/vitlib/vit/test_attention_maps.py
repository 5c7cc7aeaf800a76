"""Seeing attention: the maps while a fused kernel runs, rollout by hand, and distances in pixels."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitlib.models import create
from vitlib.vit.attention import attention_weights
from vitlib.vit.attention_maps import attention_distance, attention_gradients, attention_maps, covering, rollout
from vitlib.vit.logit_lens import readout
from vitlib.vit.patches import PatchGrid

IMAGES = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def random_maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64).mul(3).softmax(dim=-1)


@pytest.mark.parametrize("fused", [True, False, None])
@pytest.mark.parametrize("pooling", ["token", "avg", "map"])
def test_maps_sum_to_one_and_leave_the_logits_alone_bit_for_bit(fused: bool | None, pooling: str) -> None:
    model = create("vit_digits_patch2_8", seed=0, fused=fused, global_pool=pooling).eval()
    logits, maps = attention_maps(model, IMAGES)
    assert torch.equal(logits, model(IMAGES))
    assert maps.shape == (2, 3, 4, 17, 17)
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones(2, 3, 4, 17))


def test_the_maps_are_those_that_the_model_used() -> None:
    model = create("vit_digits_patch2_8", seed=0, fused=True).eval()
    out = model(IMAGES, return_all=True)
    _, maps = attention_maps(model, IMAGES)
    for i, block in enumerate(model.blocks):
        v = block.attn.qkv(out[f"blocks.{i}.norm1"])[..., 96:].unflatten(-1, (4, 12)).transpose(1, 2)  # B h T d
        seen = block.attn.proj((maps[:, i] @ v).transpose(1, 2).flatten(2))
        torch.testing.assert_close(seen, out[f"blocks.{i}.attn"])


def test_chosen_layers_and_heads_are_cut_out_of_all() -> None:
    model = create("vit_digits_patch2_8", seed=0)
    _, every = attention_maps(model, IMAGES)
    _, some = attention_maps(model, IMAGES, layers=[-1, 0], heads=[2])
    torch.testing.assert_close(some, every[:, [2, 0]][:, :, [2]])


def test_a_compiled_model_shows_its_attention_too(as_a_learner: None) -> None:
    torch.compiler.reset()
    model = create("vit_digits_patch2_8", seed=0).eval()
    compiled = torch.compile(model, backend="eager")
    compiled(IMAGES)  # the graph without return_all comes first
    torch.testing.assert_close(attention_maps(compiled, IMAGES), attention_maps(model, IMAGES))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"layers": []}, "no layer was chosen: name some of 0 to 2, or leave layers out for all"),
        ({"heads": []}, "no head was chosen"),
        ({"layers": [0, 3]}, "layer 3 is not there: the model has 3, numbered 0 to 2"),
        ({"heads": [-5]}, "head -5 is not there: the model has 4"),
    ],
)
def test_maps_are_never_silently_empty(choice: dict[str, list[int]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        attention_maps(create("vit_digits_patch2_8"), IMAGES, **choice)


# What attention did to the answer


@pytest.mark.parametrize("changes", [{}, {"layer_scale": 0.5}, {"global_pool": "avg", "class_token": False}])
def test_gradients_of_fused_attention_are_those_of_the_formula(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = create("vit_digits_patch2_8", seed=0, fused=True, **changes).eval().requires_grad_(False)
    classes = torch.tensor([3, 7])
    found = attention_gradients(model, IMAGES, classes)
    kept: list[torch.Tensor] = []

    def weights_that_are_kept(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        kept.append(attention_weights(q, k).requires_grad_())
        return kept[-1]

    monkeypatch.setattr("vitlib.vit.attention.attention_weights", weights_that_are_kept)
    formula = create("vit_digits_patch2_8", seed=0, fused=False, trim=False, **changes).eval()
    logits = formula(IMAGES)
    expected = torch.autograd.grad(logits[0, 3] + logits[1, 7], kept)
    torch.testing.assert_close(found, torch.stack(expected, dim=1))


def test_gradients_and_covering_take_the_models_own_class_unless_told() -> None:
    model = create("vit_digits_patch2_8", seed=0).eval()
    own = model(IMAGES).argmax(dim=1)
    for way in (attention_gradients, covering):
        assert torch.equal(way(model, IMAGES), way(model, IMAGES, own))
        assert not torch.equal(way(model, IMAGES), way(model, IMAGES, (own + 1) % 10))


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (torch.tensor([0]), r"classes are torch.int64 \(1,\): expected torch.int64 \(2,\)"),
        (torch.tensor([0.0, 1.0]), r"classes are torch.float32 \(2,\): expected"),
        ([0, 1], r"classes are \[0, 1\]: expected"),
        (torch.tensor([0, 10]), "class 10 is not there: the model has"),
        (torch.tensor([0, -1]), "class -1 is not there: the model has"),
    ],
)
def test_a_class_for_each_picture(classes: object, words: str) -> None:
    model = create("vit_digits_patch2_8", seed=0, depth=1)
    for ask in (attention_gradients, covering):
        with pytest.raises(ValueError, match=words):
            ask(model, torch.rand(2, 1, 8, 8), classes)


@pytest.mark.parametrize("way", [attention_maps, attention_gradients, covering, readout])
def test_a_model_is_asked_in_evaluation_mode_and_left_as_it_was(way: Any) -> None:
    """Otherwise dropout would change the answer, and a hybrid's BatchNorm would learn from it."""
    model = create("vitc_cifar_patch4_32", seed=0, depth=1, dropout=0.5, image_size=16, device="cpu")
    before = {name: each.clone() for name, each in model.state_dict().items()}
    images = torch.rand(2, 3, 16, 16)
    found = way(model, images)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    torch.testing.assert_close(found, way(model.eval(), images), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_a_models_precision_is_no_obstacle(dtype: torch.dtype) -> None:
    model = create("vit_digits_patch2_8", seed=0, depth=1, device="cpu")
    for way in (attention_gradients, covering):
        exact = way(model.float(), IMAGES)
        found = way(model.to(dtype), IMAGES.to(dtype))
        torch.testing.assert_close(found.float(), exact, rtol=0.1, atol=0.05 * exact.abs().max().item())


def test_covering_is_one_patch_of_mean_colour_after_another() -> None:
    model = create("vit_digits_patch2_8", seed=0, image_size=(8, 4)).eval()  # 4 × 2 patches
    images = IMAGES[:, :, :, :4]
    found = covering(model, images, torch.tensor([1, 2]))
    fifth = images.clone()
    fifth[:, :, 4:6, 0:2] = 0
    fell = model(images) - model(fifth)
    assert found.shape == (2, 8)
    torch.testing.assert_close(found[:, 4], torch.stack([fell[0, 1], fell[1, 2]]))


def test_what_has_no_maps_is_told_what_would_do() -> None:
    for way in (attention_gradients, covering):
        with pytest.raises(ValueError, match="a Swin has no attention maps: expected a ViT or Hybrid"):
            way(create("swin_cifar_patch2_window4_32"), torch.zeros(1, 3, 32, 32))


# Rollout


def test_rollout_of_two_layers_by_hand() -> None:
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # both tokens look at token 0
    maps = torch.stack([first, swap])[None, :, None]  # B L h T T
    # layer 0: ((1, 0), (1/2, 1/2)); layer 1: ((1/2, 1/2), (1/2, 1/2))
    assert rollout(maps)[0].tolist() == [[0.75, 0.25], [0.75, 0.25]]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6))
def test_every_row_of_a_rollout_sums_to_one(layers: int, heads: int, tokens: int) -> None:
    flow = rollout(random_maps(2, layers, heads, tokens, tokens))
    torch.testing.assert_close(flow.sum(dim=-1), torch.ones(2, tokens, dtype=torch.float64))


# Distance


def test_looking_at_oneself_is_no_distance_and_looking_right_is_one_patch() -> None:
    grid = PatchGrid(height=12, width=32, patch=(4, 8))  # 3 × 4 patches
    right = torch.eye(12).reshape(3, 4, 3, 4).roll(-1, dims=1)[:, :3]  # columns 0 to 2 look one to the right
    itself = torch.eye(12).reshape(3, 4, 3, 4)
    looks = torch.cat([right, itself[:, 3:]], dim=1).reshape(12, 12)
    maps = torch.stack([torch.eye(12), looks])[None, None]  # one picture, one layer, two heads
    assert attention_distance(maps, grid)[0, 0].tolist() == [0.0, pytest.approx(8 * 9 / 12)]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_attention_to_the_prefix_is_left_out(rows: int, columns: int, prefix: int) -> None:
    grid = PatchGrid(height=rows * 4, width=columns * 6, patch=(4, 6))
    tokens = prefix + grid.tokens
    maps = random_maps(1, 1, 2, tokens, tokens).float()
    seen = attention_distance(maps, grid)
    for head in range(2):
        total = 0.0
        for i in range(grid.tokens):
            row = maps[0, 0, head, prefix + i, prefix:]
            for j in range(grid.tokens):
                down, across = i // columns - j // columns, i % columns - j % columns
                total += (row[j] / row.sum()).item() * ((4 * down) ** 2 + (6 * across) ** 2) ** 0.5
        assert seen[0, 0, head].item() == pytest.approx(total / grid.tokens, rel=1e-3, abs=1e-3)


def test_maps_of_a_smaller_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"maps show 4 tokens, the grid has 16; use model\.config\.grid"):
        attention_distance(random_maps(1, 1, 1, 4, 4).float(), PatchGrid(8, 8, 2))
