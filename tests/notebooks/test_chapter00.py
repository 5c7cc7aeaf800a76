"""What chapter 0 says of itself, and of the library, is so."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

from autograde.authoring.key import load_key
from autograde.exercises import Numeric, Plain
from autograde.learner.check import CheckFailed, check
from autograde.learner.ticks import read_progress
from vitlib import create
from vitlib.vit.patches import patchify

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "solutions" / "00-flow-at-a-glance"
CELLS = {cell.id: cell for cell in nbformat.read(FOLDER / "00-flow-at-a-glance.ipynb", as_version=4).cells}

PRACTICE = load_key(FOLDER)["patches-a-side"]


def test_nothing_in_it_gives_points() -> None:
    assert [exercise.points for exercise in load_key(FOLDER).exercises.values()] == [0]
    graded = [cell for cell in CELLS.values() if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [cell.metadata.nbgrader.points for cell in graded] == [0]


def test_practising_gives_a_message_for_each_misconception_and_then_a_tick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(FOLDER)
    assert isinstance(PRACTICE, Numeric)
    for wrong in PRACTICE.misconceptions:
        with pytest.raises(CheckFailed, match=re.escape(str(wrong.message))):
            check(PRACTICE.id, wrong.answer)
    check(PRACTICE.id, 8)
    assert (
        "✓ Your first tick: 8 patches is right. 4 pixels to a patch: 32 / 4 = 8 patches side by side."
        in capsys.readouterr().out
    )


def test_the_answer_is_left_out_of_what_learners_open() -> None:
    cells = nbformat.read(ROOT / "chapters" / FOLDER.name / f"{FOLDER.name}.ipynb", as_version=4).cells
    (answer,) = [cell for cell in cells if cell.id == "patches-a-side-answer"]
    assert answer.source.startswith("patches_a_side = ...")


def test_no_chapter_says_the_answer_to_an_exercise_of_the_book() -> None:
    """Where a chapter shows how an answer is written, it is the answer to nothing."""
    keys = [load_key(path.parent).exercises.values() for path in ROOT.glob("solutions/*/key.py")]
    answers = {exercise.solution() for key in keys for exercise in key if isinstance(exercise, Plain)}
    for path in ROOT.glob("chapters/*/*.ipynb"):
        texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
        assert answers.isdisjoint(re.findall(r"`(\w+ = [^`]+)`", "\n".join(texts))), path.stem


def test_the_five_lines_are_the_model() -> None:
    """The notebook's own lines, on other pictures and with other weights."""
    lines = [CELLS[name].source for name in ("patchify", "embed", "token-row", "encoder", "classify")]
    for line in (
        "patches = patchify(images, 4)",
        "tokens = patches @ E.T + b",
        "z = torch.cat([model.cls_token, tokens], dim=1) + model.pos_embed",
        "    z = block(z)",
        "logits = model.head(model.norm(z)[:, 0])",
    ):
        assert any(line in cell for cell in lines), line
    model = create("vit_cifar_patch4_32", seed=1).requires_grad_(False)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    E, b = model.patch_embed.proj.weight.flatten(1), model.patch_embed.proj.bias
    tokens = patchify(images, 4) @ E.T + b
    z = torch.cat([model.cls_token.expand(3, -1, -1), tokens], dim=1) + model.pos_embed
    for block in model.blocks:
        z = block(z)
    torch.testing.assert_close(model.head(model.norm(z)[:, 0]), model(images), atol=1e-4, rtol=1e-4)


def test_the_shapes_of_the_summary_are_the_models() -> None:
    config = create("vit_cifar_patch4_32", seed=0).config
    n, length, d = config.grid.tokens, 3 * config.grid.patch_height**2, config.embed_dim
    shapes = f"$[{n}, {length}] \\to [{n}, {d}] \\to [{n + 1}, {d}] \\to [{n + 1}, {d}] \\to [{config.num_classes}]$"
    assert shapes in CELLS["summary"].source


def test_no_stored_text_depends_on_what_the_model_has_learned() -> None:
    """Better weights may come at any time: what is printed counts things, and only figures show what it says."""
    texts = {
        name: "".join(output.get("text", "") for output in cell.get("outputs", [])) for name, cell in CELLS.items()
    }
    count = sum(parameter.numel() for parameter in create("vit_cifar_patch4_32").parameters())
    assert texts["the-model"] == f"The model has {count:,} parameters, learned numbers.\n"
    assert all(not re.search(r"\d\.\d|%", text) for text in texts.values())


def test_the_progress_page_counts_every_chapter_that_has_exercises() -> None:
    keys = sorted(path.parent.name for path in ROOT.glob("solutions/*/key.py"))
    assert [chapter.name for chapter in read_progress(ROOT / "chapters").chapters] == keys
