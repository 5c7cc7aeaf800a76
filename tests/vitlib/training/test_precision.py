"""Models in half precision, and mixed precision with a scaled loss."""

import pytest
import torch

from tests.vitlib.training.zoo import BACKBONES, moved, shades, state, vit
from vitlib.data.pictures import normalisation, normalise
from vitlib.training.batch_size import step_memory
from vitlib.training.fit import Recipe, evaluate, fit
from vitlib.training.predict import predict
from vitlib.weights import files

SHORT = Recipe(epochs=2, batch_size=8, lr=3e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", BACKBONES)
def test_a_halved_model_reads_bytes_and_floats(name, dtype):
    exact, half = BACKBONES[name]().eval(), BACKBONES[name]().eval().to(dtype)
    images = shades().images
    assert torch.allclose(predict(half, images), predict(exact, images), atol=0.05)
    assert torch.equal(predict(half, normalise(images, *normalisation(exact))), predict(half, images))
    assert 0 <= evaluate(half, shades()) <= 1
    assert step_memory(half, images[0], 4) > 0 and step_memory(half, images[0], 4, train=True) > 0


def test_a_bfloat16_model_trains_and_a_float16_model_is_refused():
    model = vit().to(torch.bfloat16)
    history = fit(model, shades(), shades(), Recipe(epochs=4, batch_size=8, lr=5e-3, ema=0.9), progress=False)
    assert history.test_accuracy[-1] == 1.0 and next(model.parameters()).dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"weights are torch.float16.*train model.float\(\), with amp='float16'"):
        fit(vit().half(), shades(), recipe=SHORT, progress=False)


def test_float16_scales_the_loss_and_skips_the_steps_in_which_that_was_too_much(tmp_path):
    """The first factor, 65536, is too large for gradients that reach 1: they leave float16's range."""
    recipe = Recipe(epochs=6, batch_size=8, lr=5e-3, amp="float16")
    whole, resumed = vit(), vit()
    history = fit(whole, shades(), shades(), recipe, save=tmp_path / "whole.safetensors", progress=False)
    assert history.test_accuracy[-1] == 1.0
    _, note = files.read(tmp_path / "whole.safetensors")
    assert note["scaler"]["_growth_tracker"] > 0

    class Stop(Exception):
        pass

    def stop(seen: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        fit(vit(), shades(), shades(), recipe, save=tmp_path / "run.safetensors", watch=stop, progress=False)
    fit(resumed, shades(), shades(), recipe, save=tmp_path / "run.safetensors", progress=False)
    assert not moved(resumed, state(whole))
