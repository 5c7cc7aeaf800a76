"""The model on one page: the same logits as the classes, piece by piece and as a whole."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vitlib import create
from vitlib.vit import functional
from vitlib.vit.attention import Attention
from vitlib.vit.encoder import Block
from vitlib.vit.positions import token_row

SMALL = st.integers(1, 4)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """In double precision, and with no weight at a value such as 0 or 1 that could hide a mistake."""
    for parameter in model.double().parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@given(batch=SMALL, rows=SMALL, columns=SMALL, channels=SMALL, patch=SMALL, depth=SMALL, heads=SMALL)
def test_the_whole_model_gives_the_logits_of_the_classes(
    batch: int, rows: int, columns: int, channels: int, patch: int, depth: int, heads: int
) -> None:
    size = (rows * patch, columns * patch)
    model = create(
        "vit_digits_patch2_8",
        5,
        size,
        patch_size=patch,
        in_chans=channels,
        depth=depth,
        embed_dim=4 * heads,
        num_heads=heads,
    )
    images = torch.rand(batch, channels, *size, dtype=torch.float64)
    logits = functional.vit(images, dict(shaken(model).named_parameters()), patch, heads)
    torch.testing.assert_close(logits, model(images))


def test_the_row_of_tokens_is_that_of_the_module() -> None:
    patches, cls, positions = torch.randn(2, 3, 8), torch.randn(8), torch.randn(4, 8)
    row = functional.add_positions(functional.prepend_cls(patches, cls), positions)
    assert torch.equal(row, token_row(patches, positions[None], cls[None, None]))


def test_attention_and_the_block_are_those_of_the_modules() -> None:
    x, block = torch.randn(2, 5, 12, dtype=torch.float64), shaken(Block(embed_dim=12, num_heads=3))
    assert isinstance(block, Block) and isinstance(block.attn, Attention)
    torch.testing.assert_close(functional.encoder_block(x, dict(block.named_parameters()), 3), block(x))
    q, k, v = torch.randn(3, 2, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(functional.attention(q, k, v), F.scaled_dot_product_attention(q, k, v))


def test_the_loss_is_that_of_torch_even_for_logits_that_a_plain_exp_cannot_take() -> None:
    logits, labels = 1000 * torch.randn(6, 4), torch.tensor([0, 3, 2, 1, 1, 0])
    torch.testing.assert_close(functional.cross_entropy(logits, labels), F.cross_entropy(logits, labels))


def test_gradients_reach_every_weight() -> None:
    model = create("vit_digits_patch2_8", seed=0)
    logits = functional.vit(torch.rand(2, 1, 8, 8), dict(model.named_parameters()), patch=2, heads=4)
    functional.cross_entropy(logits, torch.tensor([3, 7])).backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
