"""Muon: its matrices become orthogonal, its steps are those of torch's own, and it asks for matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vitlib.training import muon
from vitlib.training.muon import Muon, orthogonalised


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.integers(0, 99))
def test_all_directions_become_alike(rows: int, columns: int, number: int, seed: int) -> None:
    """Between bases drawn at random lie singular values down to a hundredth."""
    dice = torch.Generator().manual_seed(seed)
    short = min(rows, columns)
    left, _ = torch.linalg.qr(torch.randn(number, rows, short, generator=dice))
    right, _ = torch.linalg.qr(torch.randn(number, columns, short, generator=dice))
    stretch = 10 ** (-2 * torch.rand(number, 1, short, generator=dice))
    made = orthogonalised(left * stretch @ right.mT)
    assert made.shape == (number, rows, columns)
    along = (left.mT @ made @ right).diagonal(dim1=-2, dim2=-1)
    assert torch.all((along > 0.3) & (along < 1.3))
    assert torch.allclose(made, left * along[:, None, :] @ right.mT, atol=1e-3)  # the singular vectors are the same


def test_no_gradient_moves_nothing() -> None:
    assert not orthogonalised(torch.zeros(3, 4)).any()


@pytest.mark.parametrize("fast", [False, True])
def test_a_step_is_that_of_torchs_muon(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's computes in bfloat16, whose numbers have three digits."""
    monkeypatch.setattr(muon, "fast_bfloat16", lambda device: fast)
    torch.manual_seed(0)
    ours, theirs = ([nn.Parameter(torch.randn(shape)) for shape in ((6, 9), (9, 6), (6, 9))] for _ in range(2))
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            mine.copy_(other)
    choices = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    pair = Muon(ours, **choices), torch.optim.Muon(theirs, **choices, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        ours[1].grad = theirs[1].grad = None  # what has no gradient stays
        for each in pair:
            each.step()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, other, atol=2e-3)
        assert not torch.equal(mine, torch.zeros_like(mine))


def test_a_closure_is_asked_for_the_loss() -> None:
    weight = nn.Parameter(torch.eye(2))

    def closure() -> float:
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert Muon([weight], lr=0.1).step(closure) == 2.0
    assert weight.detach().trace() < 2


def test_the_kernel_of_a_convolution_moves_as_the_matrix_of_its_filters() -> None:
    kernel = nn.Parameter(torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    for weight in (kernel, matrix):
        weight.grad = torch.randn(6, 36, generator=torch.Generator().manual_seed(1)).view_as(weight)
        Muon([weight], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(kernel.detach().flatten(1), matrix.detach())


def test_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\): Muon moves matrices; give the others to AdamW"):
        Muon([nn.Parameter(torch.zeros(3))])
