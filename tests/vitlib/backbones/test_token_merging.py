"""Merged tokens: which pairs, which rest, and what is lost."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vitlib.backbones.test_dropins import pictures, random, vit
from vitlib.backbones.token_merging import MergedViT, match, mean, total


def test_the_most_similar_pair_merges_and_the_rest_keeps_its_order() -> None:
    metric = torch.eye(6)[None].clone()
    metric[0, 2] = metric[0, 5]  # 2 and 5 look the same way
    merge = match(metric, 1)
    assert (merge.goes.tolist(), merge.left) == ([[0, 1, 4, 2, 3, 4]], 5)


@settings(max_examples=40)
@given(st.integers(1, 9), st.data())
def test_merging_is_a_matrix_of_groups(n: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(0, n // 2))
    metric = torch.randn(2, n, 3, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99)))).double()
    merge = match(metric, r)
    matrix = merge.matrix().double()
    assert matrix.shape == (2, n - r, n)
    assert (matrix.sum(dim=1) == 1).all() and (matrix.sum(dim=2) >= 1).all()  # each goes somewhere, no place is empty
    x, size = random(2, n, 4), random(2, n).abs() + 1
    means, sizes = mean(merge, x, size)
    torch.testing.assert_close(total(merge, x), matrix @ x)
    torch.testing.assert_close(sizes, (matrix @ size[..., None])[..., 0])
    torch.testing.assert_close((means * sizes[..., None]).sum(dim=1), (x * size[..., None]).sum(dim=1))


@settings(max_examples=40)
@given(st.integers(2, 9), st.integers(0, 99), st.data())
def test_pairs_are_those_that_comparing_one_by_one_finds(n: int, seed: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(0, n // 2))
    metric = torch.randn(1, n, 4, generator=torch.Generator().manual_seed(seed)).double()
    nearest = []
    for i in range(0, n, 2):
        scores = {j: torch.cosine_similarity(metric[0, i], metric[0, j], dim=0).item() for j in range(1, n, 2)}
        best = max(scores, key=lambda j: scores[j])
        nearest.append((scores[best], i, best))
    chosen = {i: j for _, i, j in sorted(nearest, reverse=True)[:r]}
    goes = match(metric, r).goes[0].tolist()
    assert {i: goes.index(goes[i]) if goes[i] in goes else None for i in chosen}.keys() == chosen.keys()
    assert all(goes[i] == goes[j] for i, j in chosen.items())
    assert len(set(goes)) == n - r


def test_tokens_that_are_alike_can_merge_without_a_difference() -> None:
    """Copies of one token, weighted by their number, are looked at as all of them were."""
    model = vit(depth=2, positions="none")
    plain = torch.full((1, 2, 16, 24), 0.7, dtype=torch.float64)
    torch.testing.assert_close(MergedViT(model, 12)(plain), model(plain))


def test_of_pairs_that_are_equally_similar_the_first_merge() -> None:
    """Some processors sort equals in an order of their own, unless they are told to keep it."""
    merge = match(torch.tensor([[1.0, 0.0]]).repeat(1, 128, 1), r=16)
    firsts = [0 if n % 2 == 0 else n // 2 for n in range(32)]  # 0, 2, … 30 go to token 1
    assert merge.goes[0].tolist() == [*firsts, *range(16, 112)]


def test_groups_name_the_token_of_every_patch() -> None:
    groups = MergedViT(vit(depth=3), 5).groups(pictures())
    assert groups.shape == (3, 24)
    assert all(set(each.tolist()) == set(range(24 - 2 * 5)) for each in groups)  # the last of three merges none
