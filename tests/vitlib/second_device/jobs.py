"""What vitlib does on a second device: `python -m tests.vitlib.second_device.jobs` prints a line of JSON a job."""

from __future__ import annotations

import contextlib
import json
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.vitlib.second_device.device import second_device
from vitlib import (
    Pictures,
    Recipe,
    attention_maps,
    create,
    evaluate,
    examine,
    finetune,
    fit,
    load,
    predict,
    save,
    sliding_window,
    widgets,
)  # fmt: skip
from vitlib.backbones.pooled_attention import with_pooled_keys
from vitlib.backbones.token_merging import MergedViT
from vitlib.backbones.windowed_attention import with_windows
from vitlib.data.datasets import digits
from vitlib.data.samples import picture
from vitlib.training.batch_size import largest_batch, step_memory
from vitlib.vit.attention_maps import attention_distance, attention_gradients, covering, rollout
from vitlib.vit.logit_lens import readout
from vitlib.weights import load_into
from vitlib.widgets import pipeline
from vitlib.widgets.training_run import Run

Job = Callable[[], None]
JOBS: dict[str, Job] = {}
SMALL: dict[str, dict[str, Any]] = {
    "vit_digits_patch2_8": {"depth": 2},
    "swin_cifar_patch2_window4_32": {"embed_dim": 12, "depths": (2, 2, 1), "image_size": 16},
    "convnext_cifar_32": {"dims": (8, 8, 8), "depths": (1, 1, 1)},
    "vitc_cifar_patch4_32": {"depth": 1, "embed_dim": 24, "num_heads": 3},
}


def job(function: Job) -> Job:
    JOBS[function.__name__.replace("_", " ")] = function
    return function


def for_each_backbone(function: Callable[[str], None]) -> None:
    for name in SMALL:
        JOBS[f"{function.__name__.replace('_', ' ')}: {name}"] = lambda name=name: function(name)


def there(*tensors: Tensor) -> bool:
    return {each.device.type for each in tensors} == {"fake"}


def vit(**changes: Any) -> Any:
    return create("vit_digits_patch2_8", seed=0, **({"depth": 2} | changes))


def pictures(name: str, number: int = 24) -> Pictures:
    config = create(name, device="cpu", **SMALL[name]).config
    size = (number, config.in_chans, *config.image_size)
    images = torch.randint(256, size, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Pictures(images, torch.arange(number) % 3, ("a", "b", "c"))


RECIPE = Recipe(2, 8, flip=True, shift=1, randaugment=5, mixup=0.2, cutmix=1.0, erase=2, ema=0.9, validation=0.25)


@for_each_backbone
def fit_gives_the_losses_of_a_cpu(name: str) -> None:
    some, losses = pictures(name), []
    for where in (None, "cpu"):
        model = create(name, seed=0, num_classes=3, device=where, **SMALL[name])
        history = fit(model, some, some, RECIPE, progress=False)
        losses.append(history.loss)
        assert there(*model.parameters()) == (where is None)
        assert evaluate(model, some) == history.test_accuracy[-1]
    torch.testing.assert_close(*map(torch.tensor, losses))


@for_each_backbone
def models_answer_where_they_lie(name: str) -> None:
    model = create(name, seed=0, **SMALL[name])
    images = pictures(name, 3).images
    assert there(*model.parameters(), *model.buffers())
    pixels = torch.rand(2, *images.shape[1:])
    assert there(model(pixels), model.forward_features(pixels))
    answers, guesses = predict(model, images), predict(model, images, top=2)
    assert len(answers) == len(guesses) == 3
    model.reset_classifier(5)
    model.set_input_size(tuple(2 * side for side in images.shape[2:]))
    assert model(torch.rand(1, images.shape[1], *(2 * side for side in images.shape[2:]))).shape == (1, 5)


@job
def a_teacher_teaches() -> None:
    train, test = digits()
    for amp in (False, True, "float16"):
        fit(vit(), train.take(slice(0, 32)), test, Recipe(epochs=1, amp=amp), teacher=vit(depth=1), progress=False)


@job
def a_run_goes_on_from_its_snapshot() -> None:
    train, _ = digits()
    few = train.take(slice(0, 32))
    recipe = Recipe(epochs=2, batch_size=16, optimizer="muon", ema=0.9)
    with tempfile.TemporaryDirectory() as folder:
        whole, begun, file = vit(), vit(), Path(folder) / "run.safetensors"
        fit(whole, few, recipe=recipe, progress=False)

        def stop(history: Any) -> None:
            raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            fit(begun, few, recipe=recipe, save=file, watch=stop, progress=False)
        begun = vit()
        fit(begun, few, recipe=recipe, save=file, progress=False)
        for one, other in zip(whole.parameters(), begun.parameters(), strict=True):
            torch.testing.assert_close(one.cpu(), other.cpu())


@job
def finetuning_changes_the_head() -> None:
    train, _ = digits()
    few = train.take(slice(0, 32))
    finetune(vit(), few, few, Recipe(epochs=1), progress=False)


@job
def weights_are_saved_and_loaded() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, model = Path(folder) / "weights.safetensors", vit()
        save(model, file)
        again, images = load(file), torch.rand(1, 1, 8, 8)
        torch.testing.assert_close(again(images).cpu(), model(images).cpu())
        assert there(*again.parameters()) and not there(*load(file, device="cpu").parameters())


@for_each_backbone
def weights_of_a_model_that_lies_there_fill_another(name: str) -> None:
    model, other = (create(name, seed=seed, **SMALL[name]) for seed in (0, 1))
    heads = {"num_heads": model.config.num_heads} if "vit" in name else {}
    for state in (model.state_dict(), {key: each.cpu() for key, each in model.state_dict().items()}):
        again = load(state, image_size=model.config.image_size, **heads)
        load_into(other, state)
        assert there(*again.parameters(), *again.buffers(), *other.parameters())
        for each in (again, other):
            assert all(torch.equal(each.state_dict()[key].cpu(), value.cpu()) for key, value in state.items())


@job
def maps_and_readouts() -> None:
    model, images = vit(), torch.rand(2, 1, 8, 8)
    logits, maps = attention_maps(model, images)
    found = logits, maps, covering(model, images), attention_gradients(model, images)
    assert {each.device.type for each in found} == {"cpu"}  # they come back to where the pictures are
    rollout(maps), attention_distance(maps, model.config.grid), readout(model, images)
    swin = create("swin_cifar_patch2_window4_32", seed=0, **SMALL["swin_cifar_patch2_window4_32"])
    attention_maps(swin, torch.rand(1, 3, 16, 16))


@job
def windows_slide() -> None:
    model = create("vit_cifar_patch4_32", seed=0, depth=1)
    sliding_window(model, picture("chelsea")[:, :70, :90], 32)


@job
def drop_ins() -> None:
    model, images = vit(), torch.rand(2, 1, 8, 8)
    for changed in (with_windows(model, 2), with_pooled_keys(model, 2), MergedViT(model, 2)):
        assert there(changed(images))


@job
def examine_sees_what_it_sees_on_a_cpu() -> None:
    train, test = digits()
    reports = [examine(model, train.take(slice(0, 16)), test=test, lr=1e-3) for model in (vit(), vit(device="cpu"))]
    assert str(reports[0]) == str(reports[1])


@job
def it_may_be_the_default_of_torch() -> None:
    with torch.device("fake"):
        model, same, few = vit(), vit(device="cpu").state_dict(), digits()[0].take(slice(0, 16))
        assert all(torch.equal(each.cpu(), same[name]) for name, each in model.state_dict().items())
        assert few.statistics() and there(*model.parameters()) and not there(few.images)
        assert "stumbles" not in str(examine(model, few, lr=1e-3))
        fit(model, few, few, RECIPE, progress=False)


@job
def batches_are_measured() -> None:
    train, _ = digits()
    assert step_memory(vit(), train.images[0], 2, train=True) > 0
    assert largest_batch(vit(), train.images[0], memory=10**9, limit=4) == 4


@job
def explorers_answer() -> None:
    _, test = digits()
    few = test.take(slice(0, 5))
    for explorer in (
        pipeline.pipeline(), widgets.grid_explorer(), widgets.embedding_explorer(), widgets.position_explorer(),
        widgets.attention_explorer(), widgets.layer_readout(vit(), few), widgets.window_explorer(),
    ):  # fmt: skip
        explorer._repr_mimebundle_()


@job
def a_training_run_is_drawn() -> None:
    run = Run("100 digits", Recipe(epochs=1, batch_size=50, shift=1))
    while run.advance():
        pass
    assert (run.state, run.problem) == ("done", "") and there(*run.model.parameters())


def a_mistake() -> None:
    """What every other job must not do."""
    torch.zeros(2, device="fake") + torch.zeros(2)


def main() -> None:
    with second_device():
        for name, task in {**JOBS, "a mistake is seen": a_mistake}.items():
            try:
                task()
                told = ""
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-5:]
                places = [f"{Path(each.filename).name}:{each.lineno} {each.line}" for each in last]
                told = " | ".join([f"{type(error).__name__}: {str(error)[:300]}", *places])
            print(json.dumps([name, told]), flush=True)


if __name__ == "__main__":
    main()
