"""A snapshot is one run's and no other's, also if it was written before fields were renamed."""

from collections.abc import Callable

import pytest
from torch import nn

from tests.vitlib.training.zoo import moved, shades, state, vit
from vitlib.backbones.windowed_attention import with_windows
from vitlib.training.fit import Recipe, fit
from vitlib.weights import CheckpointError, files

SHORT = Recipe(epochs=2, batch_size=8, lr=3e-3)


def as_it_is(model: nn.Module) -> nn.Module:
    return model


def probe(model: nn.Module) -> nn.Module:
    model.requires_grad_(False)
    model.head.requires_grad_()
    return model


def test_a_run_with_other_attention_is_another_run(tmp_path):
    model = vit(global_pool="avg")
    windowed = with_windows(model, 2)  # the same names, shapes and numbers
    fit(model, shades(), recipe=Recipe(epochs=1), save=tmp_path / "run.safetensors", progress=False)
    with pytest.raises(CheckpointError, match=r"attention is \['Attention'\] there and \['WindowedAttention'\] here"):
        fit(windowed, shades(), recipe=Recipe(epochs=1), save=tmp_path / "run.safetensors", progress=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "first weights is"),
        ({"freeze": probe}, r"learns is .* there and 2 tensors: head.weight, head.bias"),
        ({"recipe": Recipe(epochs=2, batch_size=8, lr=3e-3, seed=1)}, "seed is 0 there and 1 here"),
        ({"recipe": Recipe(epochs=2, batch_size=8, lr=3e-3, ema=0.5)}, r"ema is 0.0 there and 0.5 here"),
        ({"train": shades(seed=1)}, "pixels is"),
        ({"train": shades(classes=("dark", "bright"))}, "classes is"),
        ({"test": shades(seed=2)}, "test is none there and given here"),
        ({"valid": shades(seed=2)}, "valid is none there and given here"),
    ],
)
def test_a_snapshot_of_another_run_is_refused(tmp_path, change, words):
    def run(seed: int = 0, freeze: Callable = as_it_is, train=None, recipe: Recipe = SHORT, **pictures: object) -> None:
        model = freeze(vit(seed=seed))
        fit(model, train or shades(), recipe=recipe, save=tmp_path / "run.safetensors", progress=False, **pictures)

    run()
    before = (tmp_path / "run.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=words):
        run(**change)
    assert (tmp_path / "run.safetensors").read_bytes() == before
    run()


def test_a_cell_that_is_run_twice_finds_its_run(tmp_path):
    """The model that comes back in is the one that the run has left: with its average, or its best weights."""
    for name, recipe in {"plain": SHORT, "average": Recipe(epochs=2, batch_size=8, ema=0.9)}.items():
        model = vit()
        once = fit(model, shades(), recipe=recipe, save=tmp_path / f"{name}.safetensors", progress=False)
        before = state(model)
        assert fit(model, shades(), recipe=recipe, save=tmp_path / f"{name}.safetensors", progress=False) == once
        assert not moved(model, before)


def test_a_resumed_run_is_found_again_where_its_best_weights_are_from_before_the_stop(tmp_path, monkeypatch):
    """A file does not keep the order of its tensors, and the hash of the weights depends on it."""
    measured = iter([0.9, 0.1])  # so the first epoch is the best
    monkeypatch.setattr("vitlib.training.fit.evaluate", lambda *_, **__: next(measured))

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    def run(model: nn.Module, **options: object) -> object:
        path = tmp_path / "run.safetensors"
        return fit(model, shades(), recipe=SHORT, valid=shades(seed=2), save=path, progress=False, **options)

    with pytest.raises(KeyboardInterrupt):
        run(vit(), watch=stop)
    model = vit()
    once = run(model)
    assert run(model) == once


def test_a_snapshot_from_before_the_fields_took_timms_words_still_loads(tmp_path):
    path = tmp_path / "run.safetensors"
    recipe = Recipe(epochs=2, batch_size=8, lr=3e-3, ema=0.9)
    whole = vit()
    expected = fit(whole, shades(), recipe=recipe, save=path, progress=False)
    tensors, note = files.read(path)
    tensors = {name.replace("average.", "average.module."): each for name, each in tensors.items()}
    told = dict(note["about"]["recipe"])
    for now, then in (("batch_size", "batch"), ("label_smoothing", "smoothing")):
        told[then] = told.pop(now)
    for new in ("balanced", "validation"):
        del told[new]
    config = "image_size=(16, 16), patch=4, channels=3, num_classes=2, width=16, depth=2, heads=2, pooling='cls'"
    kept = {name: note["about"][name] for name in ("weights", "pictures", "pixels", "labels")}
    old = {**kept, "recipe": told, "model": f"ViT ViTConfig({config})"}
    files.write(path, tensors, {"about": old, "history": note["history"]})
    resumed = vit()
    assert fit(resumed, shades(), recipe=recipe, save=path, progress=False).loss == expected.loss
    assert not moved(resumed, state(whole))
    files.write(path, tensors, {"about": old | {"model": "ViT ViTConfig(heads=4)"}, "history": note["history"]})
    with pytest.raises(CheckpointError, match="model's num_heads is 4 there and 2 here"):
        fit(vit(), shades(), recipe=recipe, save=path, progress=False)


def test_where_a_run_cannot_be_saved_is_said_before_it_begins(tmp_path):
    watched = []
    for path, error in (("none/run.safetensors", FileNotFoundError), ("run.ckpt", CheckpointError)):
        with pytest.raises(error):
            fit(vit(), shades(), recipe=SHORT, save=tmp_path / path, watch=watched.append, progress=False)
    assert not watched
    fit(vit(), shades(), recipe=SHORT, save=str(tmp_path / "run.safetensors"), progress=False)
    assert (tmp_path / "run.safetensors").exists()
