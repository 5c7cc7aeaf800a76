"""Attention: the formula, the kernel, and what heads, rows and order mean."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitlib.vit.attention import Attention, attend, attention_weights, check_heads

sizes = st.integers(1, 6)


def test_three_tokens_by_hand() -> None:
    q = torch.tensor([[2.0, 0.0]])
    k = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 5.0]]) * 2**0.5
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    e = torch.tensor(2.0).exp()  # scores are 0, 2 and 2
    weights = torch.stack([torch.tensor(1.0), e, e]) / (1 + 2 * e)
    torch.testing.assert_close(attention_weights(q, k)[0], weights)
    torch.testing.assert_close(attend(q, k, v)[0], torch.stack([weights[0], weights[1] + 3 * weights[2]]))


@given(sizes, sizes, sizes, sizes, sizes, st.sampled_from([torch.float32, torch.float64]))
def test_formula_and_kernel_agree_in_values_and_gradients(
    batch: int, heads: int, queries: int, tokens: int, d: int, dtype: torch.dtype
) -> None:
    q, k, v = (torch.randn(batch, heads, n, d, dtype=dtype, requires_grad=True) for n in (queries, tokens, tokens))
    cotangent = torch.randn(batch, heads, queries, d, dtype=dtype)
    formula, kernel = attend(q, k, v, fused=False), attend(q, k, v, fused=True)
    torch.testing.assert_close(formula, kernel)
    torch.testing.assert_close(
        torch.autograd.grad(formula, (q, k, v), cotangent), torch.autograd.grad(kernel, (q, k, v), cotangent)
    )


def test_the_gradient_of_the_formula_is_the_slope() -> None:
    q, k, v = (torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in "qkv")
    assert torch.autograd.gradcheck(attend, (q, k, v))


@given(sizes, sizes, sizes, st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_every_row_of_weights_sums_to_one(queries: int, tokens: int, d: int, dtype: torch.dtype) -> None:
    weights = attention_weights(torch.randn(queries, d, dtype=dtype) * 9, torch.randn(tokens, d, dtype=dtype) * 9)
    rounding = 2e-2 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(queries, dtype=dtype), rtol=0, atol=rounding)


@pytest.mark.parametrize("fused", [True, False, None])
def test_bfloat16_stays_near_the_truth_with_either_kernel(fused: bool | None) -> None:
    q, k, v = torch.randn(3, 2, 4, 65, 64, dtype=torch.float64)
    rough = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), fused)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.double(), attend(q, k, v), rtol=0, atol=0.03)


def test_bfloat16_on_a_cpu_takes_the_formula_until_the_row_is_long() -> None:
    for tokens, fused in [(1024, False), (1025, True)]:
        q, k, v = torch.randn(3, 1, 1, tokens, 8).bfloat16()
        assert torch.equal(attend(q, k, v, fused=None), attend(q, k, v, fused))
        assert not torch.equal(attend(q, k, v, fused=None), attend(q, k, v, not fused))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([True, False]))
def test_attention_is_blind_to_the_order_of_its_tokens(batch: int, heads: int, d: int, fused: bool) -> None:
    attention = Attention(heads * d, heads, fused).double()
    x = torch.randn(batch, 5, heads * d, dtype=torch.float64)
    order = torch.randperm(5)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


def test_some_rows_are_rows_of_the_whole() -> None:
    attention, x = Attention(embed_dim=8, num_heads=2), torch.randn(2, 5, 8)
    torch.testing.assert_close(attention(x, rows=slice(1, 3)), attention(x)[:, 1:3])


def test_heads_work_apart_and_are_mixed_at_the_end() -> None:
    attention, x = Attention(embed_dim=6, num_heads=2), torch.randn(1, 4, 6)
    q, k, v = attention.qkv(x)[0].split(6, dim=-1)
    heads = [attend(q[:, part], k[:, part], v[:, part]) for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(attention(x)[0], attention.proj(torch.cat(heads, dim=-1)))


def test_weights_are_those_that_attention_uses() -> None:
    attention, x = Attention(embed_dim=8, num_heads=2), torch.randn(3, 5, 8)
    v = attention.qkv(x)[..., 16:].unflatten(-1, (2, 4)).transpose(1, 2)  # B h T d
    mixed = (attention.weights(x) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(x), attention.proj(mixed))


def test_weights_are_exact_under_autocast() -> None:
    attention, x = Attention(embed_dim=8, num_heads=2), torch.randn(3, 50, 8)
    with torch.autocast("cpu", torch.bfloat16):
        weights = attention.weights(x)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, 50))


@pytest.mark.parametrize(("heads", "remedy"), [(5, "3, 4, 6 heads can"), (500, "64, 96, 192 heads can")])
def test_heads_that_cannot_share_the_width_are_refused(heads: int, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"{heads} heads cannot share a width of 192; {remedy}"):
        Attention(embed_dim=192, num_heads=heads)


@given(st.integers(1, 200), st.integers(1, 20))
def test_heads_are_refused_exactly_where_they_do_not_divide(width: int, heads: int) -> None:
    if width % heads == 0:
        check_heads(width, heads)
    else:
        with pytest.raises(ValueError):
            check_heads(width, heads)
