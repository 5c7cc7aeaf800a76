"""What chapter 5 says of itself, and of the library, is so."""

from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from autograde.authoring.key import load_key
from autograde.exercises import Choice, Code, Plain
from autograde.learner.my_functions import collect
from vitlib import create
from vitlib.vit import functional

FOLDER = Path(__file__).parents[2] / "solutions" / "05-classifier-head"
KEY = load_key(FOLDER)
CELLS = {cell.id: cell for cell in nbformat.read(FOLDER / "05-classifier-head.ipynb", as_version=4).cells}
SMALL = st.integers(1, 4)


def code(name: str) -> Code:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise


def test_the_head_reads_the_final_norm() -> None:
    exercise = KEY["head-reads"]
    assert isinstance(exercise, Choice)
    assert "LayerNorm" in list(exercise.options)[exercise.right - 1]
    sequence, model = torch.randn(3, 17, 48), create("vit_digits_patch2_8", seed=0, device="cpu")
    read = code("classify").reference(sequence, model.norm.weight, model.norm.bias, model.head.weight, model.head.bias)
    torch.testing.assert_close(read, model.head(model.pool(sequence[:, model.reads])))


@pytest.mark.parametrize("norm_first", [True, False])
def test_the_mean_is_taken_in_the_order_that_section_4_says(norm_first: bool) -> None:
    model = create("vit_digits_patch2_8", seed=0, device="cpu", global_pool="avg", norm_before_pool=norm_first)
    patches = torch.randn(3, 16, 48) * torch.arange(1.0, 17)[:, None]  # some are larger than others
    normed = F.layer_norm(patches, (48,), eps=1e-6).mean(dim=1)
    averaged = F.layer_norm(patches.mean(dim=1), (48,), eps=1e-6)
    torch.testing.assert_close(model.pool(patches), normed if norm_first else averaged)


def test_everyones_new_head_fits_the_model() -> None:
    exercise = KEY["new-head"]
    assert isinstance(exercise, Plain)
    for variant in exercise.variants[::100]:
        classes = variant.parameters["classes"]
        heads = [
            sum(weight.numel() for weight in torch.nn.Linear(768, count).parameters()) for count in (classes, 1000)
        ]
        assert variant.right - heads[0] == 86_567_656 - heads[1]


@given(batch=SMALL, classes=SMALL, seed=st.integers(0, 99))
def test_the_loss_that_learners_write_is_torchs(batch: int, classes: int, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    logits = 100 * torch.randn(batch, classes, generator=dice)
    labels = torch.randint(classes, (batch,), generator=dice)
    torch.testing.assert_close(code("cross-entropy").reference(logits, labels), F.cross_entropy(logits, labels))


@given(batch=SMALL, rows=SMALL, columns=SMALL, patch=SMALL, depth=SMALL, heads=SMALL)
def test_the_model_that_learners_write_is_the_librarys(
    batch: int, rows: int, columns: int, patch: int, depth: int, heads: int
) -> None:
    size = (rows * patch, columns * patch)
    model = create(
        "vit_digits_patch2_8", 3, size, patch_size=patch, depth=depth, embed_dim=4 * heads, num_heads=heads, seed=0
    )
    images = torch.rand(batch, 1, *size)
    logits = code("vit").reference(images, model.state_dict(), patch, heads)
    torch.testing.assert_close(logits, model(images), atol=1e-4, rtol=1e-4)


def test_in_the_solutions_every_function_is_found_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    chapters = {
        "01-patch-grid": ["patchify"],
        "02-patch-embedding": ["embed"],
        "03-cls-and-positions": ["prepend_cls", "add_positions"],
        "04-encoder": ["encoder_block"],
    }
    assert all(name in CELLS["collect"].source for names in chapters.values() for name in names)
    monkeypatch.chdir(FOLDER)
    here = {name: code(name.replace("_", "-")).reference for name in ("classify", "cross_entropy", "vit")}
    pieces = collect(functional, chapters, **here)
    assert {name: piece.problem for name, piece in pieces.found.items() if piece.problem} == {}
