"""What chapter 2 says of itself, and of the library, is so."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Plain
from vitlib import create
from vitlib.trained import card
from vitlib.vit import functional
from vitlib.vit.embed import PatchEmbed
from vitlib.vit.patches import PatchGrid, patchify
from vitlib.widgets.embedding import embedding_explorer, widths
from vitlib.widgets.filters import orthonormal_filters

FOLDER = Path(__file__).parents[2] / "solutions" / "02-patch-embedding"
KEY = load_key(FOLDER)
SMALL = st.integers(1, 4)


@given(batch=SMALL, channels=SMALL, rows=SMALL, columns=SMALL, patch=SMALL, width=SMALL)
def test_what_learners_write_is_what_the_library_does(
    batch: int, channels: int, rows: int, columns: int, patch: int, width: int
) -> None:
    images = torch.randint(-9, 10, (batch, channels, rows * patch, columns * patch)).float()
    weight = torch.randint(-3, 4, (width, channels * patch**2)).float()
    bias = torch.randint(-3, 4, (width,)).float()
    layer = PatchEmbed(channels, patch, width)
    layer.load_state_dict({"proj.weight": KEY["conv-weight"].reference(weight, channels, patch), "proj.bias": bias})
    patches = patchify(images, patch)
    tokens = KEY["embed"].reference(patches, weight, bias)
    assert torch.equal(tokens, functional.embed(patches, weight, bias))
    assert torch.equal(tokens, layer.patch_by_patch(images))
    assert torch.equal(tokens, layer(images))


@given(length=st.integers(2, 12), kept=SMALL, seed=st.integers(0, 99))
def test_rebuilding_is_a_projection_and_exact_where_nothing_is_left_out(length: int, kept: int, seed: int) -> None:
    embed, rebuild = KEY["embed"].reference, KEY["reconstruct"].reference
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(length, length, generator=generator).double())[0].T
    patches, mean = torch.randn(2, 3, length, generator=generator).double(), torch.ones(length).double()
    for d in (min(kept, length), length):
        tokens = embed(patches, basis[:d], -basis[:d] @ mean)
        rebuilt = rebuild(tokens, basis[:d], mean)
        torch.testing.assert_close(embed(rebuilt, basis[:d], -basis[:d] @ mean), tokens)
    torch.testing.assert_close(rebuilt, patches)


def everyones_numbers(name: str) -> list[Any]:
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 40
    return [SimpleNamespace(**variant.parameters) for variant in exercise.variants]


def test_what_questions_and_messages_take_for_granted_holds_with_everyones_numbers() -> None:
    assert all(PatchGrid(n.height, n.width, n.patch).divides for n in everyones_numbers("conv-output"))
    assert all(PatchGrid(n.side, n.side, n.patch).divides for n in everyones_numbers("embedding-parameters"))
    assert all(n.first > n.second > n.third > n.fourth for n in everyones_numbers("kept-share"))


def test_the_explorers_puzzle_has_the_answer_that_it_promises() -> None:
    """Patches of twice the side need four times the numbers to keep as much of the cat."""
    explorer = embedding_explorer("chelsea", patch=8, d=16)
    enough = round(100 * explorer.view.kept, 1)
    explorer.patch.value = 16
    kept = []
    for d in widths(16):
        explorer.d.value = d
        kept.append(round(100 * explorer.view.kept, 1))
    assert widths(16)[next(i for i, share in enumerate(kept) if share >= enough)] == 64


def test_training_turned_the_filters_towards_the_strong_directions_of_pca() -> None:
    name = "vit_cifar_patch4_32"
    models = create(name, seed=card(name)["seed"]), create(name, pretrained=True)
    _, directions = orthonormal_filters("PCA", 4)
    along = [(m.patch_embed.proj.weight.detach().flatten(1) @ directions.T).square().sum(0) for m in models]
    before, after = ((each.unflatten(0, (3, 16)).sum(1) / each.sum()).tolist() for each in along)  # in thirds
    assert all(share == pytest.approx(1 / 3, abs=0.03) for share in before)
    assert after[0] > 0.45 and after[2] < 0.2
