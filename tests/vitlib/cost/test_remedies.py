"""Remedies: what each saves, that each is enough where it says so, and that none is named that makes no sense."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitlib.backbones.presets import BACKBONES
from vitlib.cost import Run, cost
from vitlib.cost.job import Job, largest_within
from vitlib.cost.remedies import CHEAPEST_FIRST, combined, remedies
from vitlib.models import PRESETS

VIT = replace(PRESETS["vit_base_patch16_224"], depth=2)
MODELS = {
    "vit": VIT,
    "readable": replace(VIT, fused=False, image_size=(256, 384)),
    "small": PRESETS["vit_digits_patch2_8"],
    "prime": replace(VIT, image_size=(176, 176)),  # 11 × 11 tokens: no windows
    "hybrid": BACKBONES["vitc_cifar_patch4_32"],
    "swin": BACKBONES["swin_cifar_patch2_window4_32"],
    "convnext": BACKBONES["convnext_cifar_32"],
}
RUNS = [
    Run(batch_size=64),
    Run(batch_size=7, precision="amp", checkpointing=True, ema=True),
    Run(batch_size=32, optimizer="adamw-foreach"),
    Run(batch_size=1, precision="bf16", optimizer="sgd"),
    Run(batch_size=64, training=False),
    Run(batch_size=3, training=False, precision="bf16"),
]
DROPINS = [Run(batch_size=16, window=7), Run(batch_size=16, pool_stride=7), Run(batch_size=16, merge=8)]


def found(job, room=0):
    """The remedies where there is room for so many bytes."""
    return remedies(job, room)


def names(found):
    return " | ".join(each.name for each in found)


JOBS = [Job(model, run) for model in MODELS.values() for run in RUNS] + [Job(VIT, run) for run in DROPINS]


@pytest.mark.parametrize("job", JOBS)
def test_every_remedy_saves_what_it_says(job):
    for remedy in found(job):
        config, run = remedy.change
        assert 0 < remedy.saves == job.peak - remedy.job.peak
        assert remedy.change != (job.config, job.run)
        if remedy.job.steps == 1:
            assert remedy.saves == cost(job.config, job.run).peak - cost(config, run).peak
        assert remedy.name in str(remedy) and "FLOPs" in remedy.extra


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_remedy_that_is_enough_is_enough(job, share):
    room = int(share * job.peak)
    for remedy in found(job, room):
        assert remedy.fits == (remedy.job.peak <= room)


@pytest.mark.parametrize("job", JOBS)
def test_none_is_on_already_and_none_makes_no_sense(job):
    said, run = names(found(job)), job.run
    if run.checkpointing or not run.training or run.merge:
        assert "checkpointing" not in said
    if run.precision == "bf16" or (run.training and run.precision == "amp"):
        assert "bfloat16" not in said
    if run.batch_size == 1:
        assert "batch" not in said
    if not run.training:
        assert "AdamW" not in said and "gradients" not in said
    if run.dropins or job.config not in (MODELS["vit"], MODELS["readable"], MODELS["small"], MODELS["prime"]):
        assert "windows" not in said and "merging" not in said and "patches" not in said
    assert ("fused attention" in said) == (job.config is MODELS["readable"])


def test_all_there_is_for_a_readable_vit_the_cheapest_first():
    job = Job(MODELS["readable"], Run(batch_size=64, optimizer="adamw-foreach"))
    expected = ["fused attention", "bfloat16", "batch 1", "checkpointing", "token merging", "pictures", "patches"]
    places = [names(found(job)).index(name) for name in expected]
    assert places == sorted(places)


def test_the_batch_is_cut_into_as_few_and_as_equal_steps_as_possible():
    job, room = Job(VIT, Run(batch_size=100)), Job(VIT, Run(batch_size=30), steps=4).peak
    (smaller,) = [each for each in found(job, room) if "batch" in each.name]
    assert smaller.name == "batch 25, gradients of 4 steps added up"
    assert smaller.change == (VIT, Run(batch_size=25)) and smaller.fits


def test_gradients_that_are_added_up_are_there_all_the_time():
    once, added = Job(VIT, Run(batch_size=64)), Job(VIT, Run(batch_size=64), steps=2)
    peaks = cost(VIT, Run(batch_size=64)).phases
    assert added.peak >= peaks["forward"].total + peaks["step"].gradients
    assert once.peak < added.peak <= once.peak + peaks["step"].gradients
    asked = Run(batch_size=64, training=False)
    assert Job(VIT, asked, steps=2).peak == Job(VIT, asked).peak


def test_smaller_pictures_keep_their_proportions_and_their_patches():
    job = Job(replace(VIT, image_size=(256, 384)), Run(batch_size=64))
    for room in range(job.peak // 8, job.peak, job.peak // 8):
        (smaller,) = [each for each in found(job, room) if "pictures" in each.name]
        height, width = smaller.change[0].image_size
        assert 128 <= height < 256 and height % 16 == width % 16 == 0
        assert abs(width - 1.5 * height) < 16


def test_windows_stay_whole_in_smaller_pictures():
    (smaller,) = [each for each in found(Job(VIT, Run(batch_size=16, window=7))) if "pictures" in each.name]
    assert smaller.change[0].image_size == (112, 112)


def test_combined_remedies_are_enough_together_and_the_last_is_needed():
    job = Job(replace(VIT, image_size=(1024, 1024), fused=False), Run(batch_size=64))
    room = job.peak // 500
    taken = combined(job, room)
    assert len(taken) > 1
    assert [each.fits for each in taken] == [False] * (len(taken) - 1) + [True]
    assert taken[-1].job.peak == job.peak - sum(each.saves for each in taken) <= room


def test_where_nothing_helps_nothing_is_named():
    assert combined(Job(VIT, Run(batch_size=64)), room=0) == ()


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**7), st.integers(1, 10**9))
def test_the_largest_number_that_fits_is_found_though_the_line_is_bent(most, limit, each, flat):
    def need(n):
        return max(each * n, flat, 3 * each * (n - limit))

    if flat <= need(most):
        found = largest_within(need, need(most))
        assert need(found) <= need(most) < need(found + 1)
        assert largest_within(need, need(most), limit) == min(found, limit)
    assert largest_within(need, flat - 1) == (flat - 1) // each * (need(1) < flat)


def test_every_remedy_can_be_reached():
    jobs = [
        Job(MODELS["readable"], Run(batch_size=64, optimizer="adamw-foreach")),
        Job(MODELS["prime"], Run(batch_size=64)),
    ]
    jobs += [Job(replace(VIT, image_size=(1024, 1024), fused=False), Run()), Job(VIT, Run(optimizer="adamw-foreach"))]
    seen = {each.name.split()[0] for job in jobs for each in found(job)}
    assert len(seen) == len(CHEAPEST_FIRST)
