"""One training run of the widget: the same weights as `fit`, nothing else disturbed, and what its curves say."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from vitlib.data.datasets import digits, faces
from vitlib.training.fit import Recipe, evaluate, fit
from vitlib.widgets import training_run
from vitlib.widgets.training_run import DATA, Run, small_vit
from vitlib.widgets.training_view import curves_html, verdict, words_html

FEW = "100 digits"


def trained(run: Run) -> Run:
    while run.advance():
        pass
    return run


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_gives_the_weights_that_fit_gives(data: str, optimizer: Any) -> None:
    changes = {"label_smoothing": 0.0, "shift": 1, "mixup": 0.4}
    rates = {"lr": 3e-3, "warmup": 0.2, "floor": 0.1, "layer_decay": 0.8}
    recipe = Recipe(epochs=2, batch_size=32, optimizer=optimizer, **rates, **changes)
    run = trained(Run(data, replace(recipe, seed=3)))
    train, valid = DATA[data]()
    model = small_vit(train, seed=3)
    history = fit(model, train, valid, replace(recipe, seed=3), progress=False)
    assert all(torch.equal(a, b) for a, b in zip(run.model.parameters(), model.parameters(), strict=True))
    assert run.valid == history.test_accuracy and run.state == "done"
    assert sum(run.loss[-run.per_epoch :]) / run.per_epoch == pytest.approx(history.loss[-1])
    assert not run.advance()  # there is no more


def test_no_test_picture_is_used() -> None:
    """Learners choose settings by what the widget shows, so that it would no longer be a test."""
    tested = [digits()[1].images, faces()[1].images]
    for pictures in [part for pair in DATA.values() for part in pair()]:
        some = next(images for images in tested if images.shape[1:] == pictures.images.shape[1:])
        alike = (pictures.images[:, None] == some[None]).flatten(2).all(dim=2)
        assert not alike.any()


def test_a_run_leaves_the_notebooks_dice_alone_and_does_not_notice_them() -> None:
    run, other = (Run(FEW, Recipe(epochs=1, batch_size=50, shift=1)) for _ in range(2))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run.advance()
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(9)
    assert trained(other).loss == trained(run).loss


def test_where_gradients_are_off_it_learns_all_the_same() -> None:
    with torch.no_grad():
        assert trained(Run(FEW, Recipe(epochs=1, batch_size=50))).state == "done"


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    run = Run(FEW, Recipe(epochs=2, batch_size=50))
    run.advance()
    with torch.no_grad():
        next(run.model.parameters()).fill_(torch.nan)
    assert not trained(run).advance()
    assert run.state == "diverged" and verdict(run).startswith("The loss is nan at step 2: diverged. Take a smaller")


def test_an_error_is_kept_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no more memory")

    monkeypatch.setattr(training_run, "loss_on", broken)
    run = trained(Run(FEW, Recipe(epochs=1)))
    assert run.state == "failed" and verdict(run) == "Training stopped: RuntimeError: no more memory"
    assert 'role="alert"' in words_html(run, run)
    assert "guessing" in curves_html([run])  # a page with no other run on it


def test_a_better_run_is_better() -> None:
    """What it trains is no mock: five epochs read most of the digits."""
    run = trained(Run("1077 digits", Recipe(epochs=5, batch_size=64, lr=1e-2, label_smoothing=0.0)))
    assert run.valid[-1] > 0.85 and evaluate(run.model, DATA["1077 digits"]()[1]) == run.valid[-1]


def like(**facts: Any) -> Run:
    """A run of ten epochs of two steps, with its loss, and its accuracies on training and validation pictures."""
    facts = {"loss": 0.1, "first": 2.3, "train": 0.95, "valid": 0.93, "state": "done", "recipe": Recipe(), **facts}
    losses = [facts["first"]] * 2 + [facts["loss"]] * 18
    shares = {name: [facts[name]] * 10 for name in ("train", "valid")}
    return Run("1077 digits", facts["recipe"], state=facts["state"], loss=losses, per_epoch=2, **shares)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (Run(FEW, Recipe()), "Not a step yet. The first loss should be near ln 10 = 2.30."),
        (Run(FEW, Recipe(), loss=[2.4]), "In the first epoch: the loss began at 2.40"),
        (like(loss=2.9), "The loss, 2.90, is above ln 10 = 2.30: guessing would do better. The learning rate is too"),
        (like(loss=2.2), "still near ln 10 = 2.30. It falls, but slowly: a higher learning rate, or more epochs."),
        (like(loss=2.3), "still near ln 10 = 2.30. It does not fall: another learning rate"),
        (like(train=1.0, valid=0.8), "100% of its training pictures right, and 80% of new ones: it overfits."),
        (like(recipe=Recipe(flip=True)), "But half of what it learned from was mirrored"),
        (like(), "95% of its training pictures right, and 93% of new ones: it has learned, and holds for new"),
        (like(state="running"), "it learns, and holds for new pictures."),
    ],
)
def test_the_verdict_names_what_is_seen(run: Run, said: str) -> None:
    assert said in verdict(run)
