"""The training loop: it learns, twice the same, and what goes wrong is said and leaves nothing half done."""

import copy
import json
import math
import resource
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures, normalise
from vitlib.models import create
from vitlib.training.fit import Recipe, TrainingError, evaluate, fit
from vitlib.weights import CheckpointError

SHORT = Recipe(epochs=2, batch_size=32, warmup=0.25, shift=1, mixup=0.2, cutmix=1.0, ema=0.5, optimizer="muon")


@pytest.fixture(scope="module")
def few() -> Pictures:
    return digits()[0].take(slice(0, 96))


def small(seed: int = 0, **changes: object) -> nn.Module:
    return create("vit_digits_patch2_8", seed=seed, embed_dim=16, depth=2, num_heads=2, **changes)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_few_pictures_are_learned_by_heart(few):
    model = create("vit_digits_patch2_8", seed=0)
    recipe = Recipe(epochs=16, batch_size=32, lr=1e-2, label_smoothing=0.0, optimizer="muon")
    history = fit(model, few, few, recipe, progress=False)
    assert history.test_accuracy[-1] == 1.0
    assert history.loss[0] > 1.5 > 0.3 > history.loss[-1]
    assert not model.training


def test_fresh_weights_know_nothing_so_the_first_loss_is_ln_k(few):
    history = fit(small(), few, recipe=Recipe(epochs=1, batch_size=96, lr=1e-9, label_smoothing=0.0), progress=False)
    assert history.loss[0] == pytest.approx(math.log(10), abs=0.1)


class Pupil(nn.Module):
    """Answers every picture with the same logits, which it learns; keeps what it is shown."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.seen = nn.Parameter(logits), []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images)
        return self.logits.expand(len(images), -1)


def test_half_of_what_is_learned_is_what_the_teacher_says(few):
    """All labels say class 2 and the teacher says class 7, of the same changed pictures: the model learns even odds."""
    fours = Pictures(few.images, torch.full_like(few.labels, 2), few.classes)
    teacher, model = Pupil(50 * torch.eye(10)[7]), Pupil(torch.zeros(10))
    recipe = Recipe(epochs=30, batch_size=32, lr=0.2, label_smoothing=0.0, weight_decay=0.0, shift=1)
    fit(model, fours, recipe=recipe, teacher=teacher, progress=False)
    assert model.logits.softmax(dim=0)[[2, 7]].tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert len(teacher.seen) == 90  # three batches in each epoch
    assert all(torch.equal(one, other) for one, other in zip(teacher.seen, model.seen[-90:], strict=True))
    assert teacher.logits.grad is None


def test_a_teacher_of_other_classes_is_refused(few):
    """Even one that would fit by broadcasting: probabilities [B, 1]."""
    for teacher in (Pupil(torch.zeros(1)), Pupil(torch.zeros(3))):
        with pytest.raises(ValueError, match=r"the teacher answers \(\d+, [13]\): expected \(\d+, 10\)"):
            fit(small(), few, recipe=Recipe(epochs=1, batch_size=8), teacher=teacher, progress=False)


def test_a_snapshot_is_its_teachers(few, tmp_path):
    recipe, wise, other = Recipe(epochs=1, batch_size=32), small(seed=5), small(seed=6)
    fit(small(), few, recipe=recipe, teacher=wise, save=tmp_path / "run.safetensors", progress=False)
    fit(again := small(), few, recipe=recipe, teacher=wise, save=tmp_path / "run.safetensors", progress=False)
    fit(anew := small(), few, recipe=recipe, teacher=wise, progress=False)
    assert same(again, anew)
    for teacher in (other, None):
        with pytest.raises(CheckpointError, match=r"another run: teacher is \d+ there"):
            fit(small(), few, recipe=recipe, teacher=teacher, save=tmp_path / "run.safetensors", progress=False)


def test_one_step_is_the_textbook_formula(few):
    """One step with nothing switched on is cross-entropy, backward, AdamW.

    Adam's first step is the sign of the gradient, so it is compared where that sign is not a matter of rounding: where
    the gradient is more than a ten-thousandth of the largest, a thousand times what float32 rounds away.
    """
    recipe = Recipe(epochs=1, batch_size=96, lr=1e-2, warmup=0.0, weight_decay=0.0, label_smoothing=0.0, clip=math.inf)
    fitted, by_hand = small(), small()
    history = fit(fitted, few, recipe=recipe, progress=False)

    logits = by_hand(normalise(few.images, by_hand.config.mean, by_hand.config.std))
    loss = nn.functional.cross_entropy(logits, few.labels)
    loss.backward()
    torch.optim.AdamW(by_hand.parameters(), lr=1e-2, weight_decay=0.0).step()
    assert history.loss == pytest.approx([loss.item()], rel=1e-5)
    slopes = torch.cat([each.grad.flatten() for each in by_hand.parameters()]).abs()
    clear = slopes > 1e-4 * slopes.max()
    assert clear.float().mean() > 0.9  # so most numbers are compared, and not one of them may differ
    ours, theirs = (nn.utils.parameters_to_vector(each.parameters()) for each in (fitted, by_hand))
    torch.testing.assert_close(ours[clear], theirs[clear], rtol=0, atol=1e-4)


def test_the_same_recipe_gives_the_same_weights_and_leaves_the_callers_dice_alone(few):
    one, other = small(), small()
    fit(one, few, recipe=SHORT, progress=False)
    before = torch.get_rng_state()
    fit(other, few, recipe=SHORT, progress=False)
    assert same(one, other)
    assert torch.equal(before, torch.get_rng_state())
    third = small()
    fit(third, few, recipe=replace(SHORT, seed=1), progress=False)
    assert not same(one, third)


def test_activation_checkpointing_changes_memory_and_no_number(few):
    plain, frugal = small(dropout=0.1), small(dropout=0.1)
    fit(plain, few, recipe=SHORT, progress=False)
    fit(frugal, few, recipe=replace(SHORT, checkpointing=True), progress=False)
    assert same(plain, frugal)
    assert "forward" not in vars(frugal.blocks[0])


def test_any_model_from_pictures_to_logits_will_do(few):
    cnn = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    history = fit(cnn, few, few, Recipe(epochs=3, batch_size=32, ema=0.5, amp=True), progress=False)
    assert history.loss[-1] < history.loss[0]
    with pytest.raises(ValueError, match=r"a Sequential has no encoder Block to checkpoint"):
        fit(cnn, few, recipe=Recipe(checkpointing=True), progress=False)


def test_what_requires_no_gradient_stays(few):
    model = small()
    model.blocks.requires_grad_(False)
    before = copy.deepcopy(model)
    fit(model, few, recipe=SHORT, progress=False)
    assert same(model.blocks, before.blocks)
    assert not same(model.head, before.head)


def test_the_average_is_what_is_tested_and_what_remains(few):
    model = small()
    history = fit(model, few, few, SHORT, progress=False)
    assert evaluate(model, few) == history.test_accuracy[-1]


def test_a_run_goes_on_from_its_snapshot_to_the_same_bits(few, tmp_path):
    whole, stopped, resumed = small(), small(), small()
    expected = fit(whole, few, few, SHORT, progress=False)

    class Stop(Exception):
        pass

    def stop(history: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        fit(stopped, few, few, SHORT, save=tmp_path / "run.safetensors", watch=stop, progress=False)
    history = fit(resumed, few, few, SHORT, save=tmp_path / "run.safetensors", progress=False)
    assert same(whole, resumed)
    assert history.test_accuracy == expected.test_accuracy and history.loss == expected.loss

    done = small()
    again = fit(done, few, few, SHORT, save=tmp_path / "run.safetensors", progress=False)
    assert again == history  # nothing was left to do
    assert same(whole, done)


def test_a_snapshot_of_another_run_is_refused_field_by_field(few, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(small(), few, recipe=SHORT, save=path, progress=False)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"lr is 0.001 there and 0.002 here\. Give another save="):
        fit(small(), few, recipe=replace(SHORT, lr=2e-3), save=path, progress=False)
    with pytest.raises(CheckpointError, match=r"model's num_heads is 2 there and 4 here"):
        fit(create("vit_digits_patch2_8", embed_dim=16, depth=2), few, recipe=SHORT, save=path, progress=False)
    with pytest.raises(CheckpointError, match="pictures is 96 of 1×8×8 there and 90 of 1×8×8 here"):
        fit(small(), few.take(slice(0, 90)), recipe=SHORT, save=path, progress=False)
    assert path.read_bytes() == before
    fit(small(), few, recipe=replace(SHORT, lr=2e-3), save=path, resume=False, progress=False)
    assert path.read_bytes() != before


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_epoch(few, tmp_path):
    path = tmp_path / "run.safetensors"
    model = small()

    def poison(history: object) -> None:
        with torch.no_grad():
            model.head.bias[3] = math.nan

    with pytest.raises(TrainingError, match=r"the loss is nan at step 3 \(epoch 2, .*holds epoch 1\. Lower lr"):
        fit(model, few, recipe=SHORT, save=path, watch=poison, progress=False)
    resumed, whole = small(), small()
    fit(resumed, few, recipe=SHORT, save=path, progress=False)
    fit(whole, few, recipe=SHORT, progress=False)
    assert same(resumed, whole)


def test_a_full_disk_leaves_the_last_snapshot_whole(few, tmp_path):
    path = tmp_path / "run.safetensors"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(history: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # bytes that any file may have from now on

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(TrainingError, match=r"could not be written after epoch 2 .*last snapshot is whole\."):
            fit(small(), few, recipe=SHORT, save=path, watch=fill_the_disk, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [each.name for each in tmp_path.iterdir()] == ["run.safetensors"]
    assert fit(small(), few, recipe=SHORT, save=path, progress=False).loss[1] > 0


def test_pictures_of_other_classes_are_refused(few):
    with pytest.raises(ValueError, match=r"the model has 7 logits and the pictures have 10 classes; create it"):
        fit(small(num_classes=7), few, progress=False)


@pytest.mark.parametrize(("field", "value"), [("epochs", 0), ("lr", -1.0), ("label_smoothing", 1.0), ("shift", -1)])
def test_a_recipe_of_nonsense_is_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}: expected"):
        Recipe(**{field: value})


def test_the_history_is_a_table_a_figure_and_plain_numbers(few):
    history = fit(small(), few, few, SHORT, progress=False)
    assert len(str(history).splitlines()) == 3
    assert history.plot().description.startswith("Curves over 2 epochs: loss")
    assert json.loads(json.dumps(vars(history))) == vars(history)
