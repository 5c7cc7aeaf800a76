"""What the classifier reads: CLS, the mean of the patches, or what one learned query finds."""

import pytest
import torch

from vitlib.vit.attention import attend
from vitlib.vit.head import AttentionPool, read_cls, read_mean


def test_cls_is_the_first_token_and_the_mean_is_of_all() -> None:
    tokens = torch.arange(12.0).reshape(1, 3, 4)
    assert read_cls(tokens).tolist() == [[0, 1, 2, 3]]
    assert read_mean(tokens).tolist() == [[4, 5, 6, 7]]


def test_attention_pooling_is_one_query_over_all_tokens() -> None:
    pool = AttentionPool(embed_dim=6, num_heads=2).double()
    torch.nn.init.normal_(pool.latent)
    tokens = torch.randn(5, 6, dtype=torch.float64)
    query = pool.q(pool.latent[0])
    keys, values = pool.kv(tokens).split(6, dim=-1)
    heads = [attend(query[:, part], keys[:, part], values[:, part]) for part in (slice(0, 3), slice(3, 6))]
    found = pool.proj(torch.cat(heads, dim=-1))[0]
    torch.testing.assert_close(pool(tokens[None])[0], found + pool.mlp(pool.norm(found)))


def test_attention_pooling_is_blind_to_the_order_of_its_tokens() -> None:
    pool, tokens = AttentionPool(embed_dim=8, num_heads=2).double(), torch.randn(3, 5, 8, dtype=torch.float64)
    torch.nn.init.normal_(pool.latent)
    torch.testing.assert_close(pool(tokens.flip(1)), pool(tokens))


def test_heads_that_cannot_share_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="3 heads cannot share a width of 8"):
        AttentionPool(embed_dim=8, num_heads=3)
