"""The epoch is chosen on validation pictures and tested once."""

import pytest

from tests.vitlib.training.zoo import moved, shades, state, vit
from vitlib.training.fit import Recipe, evaluate, fit


@pytest.mark.parametrize("given", [True, False])
def test_the_epoch_is_chosen_by_validation_and_tested_once(given, tmp_path):
    asked = []
    recipe = Recipe(epochs=5, batch_size=8, lr=5e-3, floor=0.5, validation=0.0 if given else 0.25)

    def run(model, **more):
        valid = shades(16, seed=3) if given else None
        return fit(model, shades(40), shades(20, seed=4), recipe, valid=valid, progress=False, **more)

    model = vit()
    history = run(model, watch=lambda seen: asked.append(len(seen.test_accuracy)))
    assert asked == [0] * 5 and len(history.valid_accuracy) == 5 and len(history.test_accuracy) == 1
    best = history.valid_accuracy[history.best - 1]
    assert best == max(history.valid_accuracy) and best not in history.valid_accuracy[history.best :]
    held = shades(16, seed=3) if given else shades(40).split(4, recipe.seed)[1]
    assert evaluate(model, held) == best and evaluate(model, shades(20, seed=4)) == history.test_accuracy[0]
    assert f"best epoch: {history.best}, test {history.test_accuracy[0]:.1%}" in str(history)
    assert "valid" in history.plot().description

    class Stop(Exception):
        pass

    def stop(seen) -> None:
        if len(seen) == 3:
            raise Stop

    with pytest.raises(Stop):
        run(vit(), save=tmp_path / "run.safetensors", watch=stop)
    resumed = vit()
    again = run(resumed, save=tmp_path / "run.safetensors")
    assert again.valid_accuracy == history.valid_accuracy and not moved(resumed, state(model))


def test_two_ways_to_validate_are_one_too_many():
    with pytest.raises(ValueError, match="valid is given, and the recipe keeps back 20% too: choose one"):
        fit(vit(), shades(), recipe=Recipe(validation=0.2), valid=shades(), progress=False)


def test_a_share_that_keeps_no_picture_back_is_refused():
    with pytest.raises(ValueError, match=r"validation is 0.1, less than one of the 4 pictures: expected at least 0.25"):
        fit(vit(), shades(4), recipe=Recipe(validation=0.1), progress=False)
