"""The encoder block: two lines, and what may be added to them."""

import pytest
import torch
import torch.nn.functional as F

from vitlib.vit.branch import Drop, LayerScale
from vitlib.vit.encoder import MLP, Block


def test_the_block_is_two_lines_of_arithmetic() -> None:
    block, x = Block(embed_dim=8, num_heads=2).double(), torch.randn(2, 5, 8, dtype=torch.float64)

    def norm(x: torch.Tensor) -> torch.Tensor:  # fresh scales are 1, fresh shifts 0
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-6).sqrt()

    middle = x + block.attn(norm(x))
    hidden = norm(middle) @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    torch.testing.assert_close(block(x), middle + gelu @ block.mlp.fc2.weight.T + block.mlp.fc2.bias)


def test_some_rows_are_rows_of_the_whole_gradients_too() -> None:
    block, x = Block(embed_dim=8, num_heads=2).double(), torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    some, whole = block(x, rows=slice(0, 1)), block(x)[:, :1]
    torch.testing.assert_close(some, whole)
    inputs = [x, *block.parameters()]
    torch.testing.assert_close(torch.autograd.grad(some.sum(), inputs), torch.autograd.grad(whole.sum(), inputs))


@pytest.mark.parametrize("layer_scale", [None, 0.1])
def test_the_steps_are_the_block_bit_for_bit(layer_scale: float | None) -> None:
    block, x = Block(embed_dim=8, num_heads=2, layer_scale=layer_scale), torch.randn(2, 5, 8)
    steps = block.steps(x)
    assert list(steps) == ["norm1", "attn", "+attn", "norm2", "mlp", "+mlp"]
    assert torch.equal(steps["+mlp"], block(x))
    assert torch.equal(steps["+attn"], x + steps["attn"])


def test_gelu_in_both_kinds() -> None:
    x = torch.randn(3, 8) * 3
    for kind, approximate in [("erf", "none"), ("tanh", "tanh")]:
        mlp = MLP(embed_dim=8, hidden=16, gelu=kind)
        torch.testing.assert_close(mlp(x), mlp.fc2(F.gelu(mlp.fc1(x), approximate=approximate)))
    assert (F.gelu(x) - F.gelu(x, approximate="tanh")).abs().max() > 1e-5


def test_layer_scale_weighs_each_branch() -> None:
    block, x = Block(embed_dim=8, num_heads=2, layer_scale=0.0), torch.randn(2, 5, 8)
    assert torch.equal(block(x), x)
    assert isinstance(block.ls1, LayerScale)
    block.ls1.gamma.data[3] = 1.0
    assert (block(x) != x).any(dim=(0, 1)).nonzero().flatten().tolist() == [3]


# Drop, at the end of a branch


def test_in_evaluation_nothing_is_dropped() -> None:
    x = torch.randn(4, 3, 2)
    assert Drop(dropout=0.9, path=0.9).eval()(x) is x


def test_a_skipped_path_is_skipped_for_the_whole_picture_and_the_rest_is_scaled_up() -> None:
    torch.manual_seed(0)
    out = Drop(dropout=0.0, path=0.25)(torch.ones(4000, 3, 2))
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert out[:, 0, 0].mean().item() == pytest.approx(1, abs=0.03)


def test_dropout_drops_single_numbers() -> None:
    torch.manual_seed(0)
    out = Drop(dropout=0.5, path=0.0)(torch.ones(10, 50, 8))
    assert out.unique().tolist() == [0.0, 2.0]
    assert out.mean().item() == pytest.approx(1, abs=0.05)
