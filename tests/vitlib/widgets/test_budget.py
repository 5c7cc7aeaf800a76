"""The budget widget: every control over its range, what it says of impossible choices, and what is left of it."""

import html
import re
from dataclasses import replace

import pytest

from vitlib.cost import Run
from vitlib.cost.budget import config_of, will_it_fit
from vitlib.cost.gpus import GPUS, gib
from vitlib.cost.overhead import CONTEXT, reserved
from vitlib.cost.report import KINDS, parts
from vitlib.models import list_models
from vitlib.widgets.budget import BATCHES, OTHER, PATCHES, BudgetExplorer, budget_explorer
from vitlib.widgets.budget_view import COLOURS, MEANINGS, bars_html, beyond

SMALL = "vit_cifar_patch4_32"


@pytest.fixture
def widget() -> BudgetExplorer:
    return budget_explorer(SMALL, "T4", batch=64)


def text(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", markup)).split())


def asked(widget: BudgetExplorer) -> tuple[object, Run]:
    return widget.fit.config, widget.fit.run


def agrees(widget: BudgetExplorer) -> bool:
    """What is shown is what will_it_fit answers."""
    gpu = widget.gib.value if widget.gpu.value == OTHER else widget.gpu.value
    fit = replace(will_it_fit(widget.fit.config, gpu, widget.fit.run), model=widget.model.value)
    assert widget.fit == fit and widget.bars.value == bars_html(fit)
    assert widget.sentence in text(widget.words.value)
    return True


# every control over its range


@pytest.mark.parametrize("model", [*list_models("*_cifar*"), *list_models("*tiny*")])
def test_every_model_as_it_was_published(widget, model):
    widget.model.value = model
    published = config_of(model)
    assert widget.fit.config in (published, replace(published, **{"fused": True} if "fused" in vars(published) else {}))
    assert (widget.side.value, widget.fit.model) == (published.image_size[0], model)
    assert agrees(widget)


def test_every_gpu(widget):
    for gpu in GPUS:
        widget.gpu.value = gpu
        assert (widget.fit.gpu, widget.fit.budget) == (gpu, int(GPUS[gpu] * 2**30)) and agrees(widget)
        assert f"{gpu}: {gib(widget.fit.budget)}" in text(widget.bars.value)


def test_a_gpu_that_is_not_in_the_list_by_its_memory(widget):
    assert widget.gib.layout.display == "none"
    widget.gpu.value = OTHER
    assert widget.gib.layout.display == ""
    for size in (2.5, 24, 180):
        widget.gib.value = size
        assert widget.fit.budget == size * 2**30 and agrees(widget)
    widget.gib.value = -3
    assert widget.gib.value == widget.gib.min and agrees(widget)
    other = budget_explorer(SMALL, 7, batch=1)
    assert (other.gpu.value, other.gib.value, other.fit.gpu) == (OTHER, 7, "a GPU")


def test_every_batch(widget):
    for batch in BATCHES:
        widget.batch.value = batch
        assert asked(widget)[1] == Run(batch_size=batch) and agrees(widget)


def test_every_picture_and_patch_fits_the_grid_or_is_said_not_to(widget):
    seen = set()
    for side in range(widget.side.min, 100, 5):
        for patch in PATCHES:
            widget.side.value, widget.patch.value = side, patch
            said = text(widget.words.value)
            seen.add(whole := side % patch == 0)
            assert ("This cannot be" in said) != whole
            if whole:
                assert asked(widget)[0] == replace(
                    config_of(SMALL), image_size=(side, side), patch_size=patch, fused=True
                )
            else:
                assert "a multiple of patch" in said or "larger than the image" in said
    assert seen == {True, False}


@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("precision", ["fp32", "amp", "bf16"])
def test_every_way_to_run_it(widget, mode, precision):
    widget.mode.value, widget.precision.value = mode, precision
    training = mode == "training"
    assert widget.optimizer.disabled == widget.checkpointing.disabled == widget.ema.disabled == (not training)
    for optimizer in widget.optimizer.options:
        for more in (False, True):
            widget.optimizer.value, widget.checkpointing.value, widget.ema.value = optimizer, more, more
            extra = more and training
            run = Run(64, training, precision, checkpointing=extra, optimizer=optimizer, ema=extra)
            assert asked(widget)[1] == run and agrees(widget)


def test_readable_attention_has_scores_and_fused_attention_has_none(widget):
    assert "attention scores" not in text(widget.bars.value)
    widget.attention.value = "readable"
    assert widget.fit.config.fused is False and agrees(widget)
    assert "attention scores" in text(widget.bars.value)


def test_only_what_a_model_has_can_be_changed(widget):
    off = {
        "vit_base_patch16_224": [],
        "vitc_1gf_patch16_224": ["patch"],
        "swin_tiny_patch4_window7_224": ["patch"],
        "convnext_tiny": ["patch", "attention"],
    }
    for model, expected in off.items():
        widget.model.value = model
        controls = ("patch", "attention", "checkpointing", "model", "side", "batch", "gpu")
        assert [name for name in controls if getattr(widget, name).disabled] == expected


def test_every_model_can_be_checkpointed_in_training(widget):
    widget.checkpointing.value = True
    for model in ("convnext_cifar_32", SMALL):
        widget.model.value = model
        assert widget.fit.run.checkpointing and agrees(widget)


# what it shows


def test_the_bars_are_to_scale_and_the_line_is_the_gpus(widget):
    widget.attention.value, widget.ema.value, widget.batch.value = "readable", True, 4096
    whole = max(widget.fit.needed, widget.fit.budget)
    rows = re.findall(r'<div class="vit-track">.*?dashed', widget.bars.value)
    assert len(rows) == len(widget.fit.cost.phases) == 3
    for row, breakdown in zip(rows, widget.fit.cost.phases.values(), strict=True):
        shares = [float(share) for share in re.findall(r"width: ([\d.]+)%", row)]
        expected = [*parts(breakdown).values(), reserved(breakdown.total) + CONTEXT - breakdown.total]
        assert shares == pytest.approx([97 * size / whole for size in expected], abs=1e-3)
        line = float(re.findall(r"left: ([\d.]+)%", row)[0])
        assert line == pytest.approx(97 * widget.fit.budget / whole, abs=1e-2)


def test_the_legend_adds_up_to_what_is_needed(widget):
    fit = widget.fit
    assert sum(parts(fit.breakdown).values()) + beyond(fit.breakdown) == fit.needed
    for kind, size in parts(fit.breakdown).items():
        assert f"{KINDS[kind]} {gib(size)} {MEANINGS[kind]}" in text(widget.bars.value)


def test_every_kind_has_a_colour_of_its_own_and_a_meaning():
    assert list(COLOURS) == list(MEANINGS) == list(KINDS)
    assert len(set(COLOURS.values())) == len(KINDS)


def test_the_phase_of_the_peak_is_bold(widget):
    assert f'font-weight: 700">{widget.fit.phase}</div>' in widget.bars.value
    assert widget.bars.value.count("font-weight: 700") == 2  # its name, and its size


def test_what_would_help_is_named_with_what_it_saves(widget):
    widget.batch.value = 4096
    assert not widget.fit.fits and "✗ Too much" in text(widget.words.value)
    for remedy in widget.fit.remedies:
        tick = "✓" if remedy.fits else "·"
        assert f"{tick} {remedy.name} : {remedy.extra} −{gib(remedy.saves)}" in text(widget.words.value)
    widget.batch.value = 1
    assert widget.fit.fits and "✓ It fits" in text(widget.words.value)


def test_what_cannot_be_is_said_and_the_bars_stay(widget):
    before = widget.bars.value
    widget.patch.value = 14
    said = text(widget.words.value)
    assert said.startswith("⚠ This cannot be: picture is 32×32 pixels: not a multiple of patch 14; choose 28×28")
    assert said.endswith("The bars show the choices before.") and 'role="alert"' in widget.words.value
    assert widget.bars.value == before
    widget.patch.value = 8
    assert "cannot be" not in text(widget.words.value) and agrees(widget)


# the edges


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "vit_bas_patch16_224"}, "did you mean 'vit_base_patch16_224'?"),
        ({"gpu": "RTX 4091"}, "did you mean 'RTX 4090'?"),
        ({"gpu": "A100"}, "comes in 2 sizes"),
        ({"batch": 100}, "batch is 100: expected one of 1, 2, 4, 8,"),
    ],
)
def test_it_cannot_be_opened_on_what_it_does_not_offer(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        budget_explorer(**arguments)
