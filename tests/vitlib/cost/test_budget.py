"""Will it fit? The answer, its numbers, its words, the command, and what cannot be."""

import gc
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitlib.cost import Run, cost
from vitlib.cost.__main__ import main
from vitlib.cost.budget import will_it_fit
from vitlib.cost.gpus import GIB, GPUS
from vitlib.cost.overhead import CONTEXT, SEGMENT, WORKSPACE, reserved
from vitlib.models import PRESETS, create

VIT = "vit_base_patch16_224"
RUNS = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 2048),
        "training": st.booleans(),
        "precision": st.sampled_from(["fp32", "amp", "bf16"]),
        "checkpointing": st.booleans(),
        "optimizer": st.sampled_from(["adamw", "adamw-foreach", "sgd"]),
        "ema": st.booleans(),
    }
)
SMALL = ["vit_digits_patch2_8", "vit_cifar_patch4_32", "swin_cifar_patch2_window4_32", "convnext_cifar_32"]


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(SMALL[:2]), st.floats(0.1, 200), RUNS)
def test_the_largest_batch_fits_and_one_picture_more_does_not(model, gpu, choices):
    run = Run(**choices)
    fit = will_it_fit(model, gpu, run)
    most = fit.largest_batch
    assert fit.fits == (run.batch_size <= most)
    assert not most or will_it_fit(model, gpu, replace(run, batch_size=most)).fits
    assert not will_it_fit(model, gpu, replace(run, batch_size=most + 1)).fits


def test_the_garbage_collector_waits_for_an_answer_and_goes_on_after_it_or_an_error():
    began, thresholds = [], gc.get_threshold()

    def note(phase, about):
        began.append(phase)

    gc.callbacks.append(note)
    gc.set_threshold(50, 1, 1)
    try:
        run = Run(batch_size=3)
        gc.collect()
        began.clear()
        will_it_fit(VIT, "T4", run)
        assert not began
        cost(PRESETS[VIT], Run())
        assert began
        with pytest.raises(ValueError):
            will_it_fit(VIT, "no such GPU")
        assert gc.isenabled()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(note)


@pytest.mark.parametrize("model", [*SMALL, "vitc_cifar_patch4_32", VIT])
def test_every_kind_of_model_gets_an_answer(model):
    fit = will_it_fit(model, "T4", Run(batch_size=256))
    assert fit.model == model and fit.gpu == "T4"
    assert fit.allocated == cost(fit.config, fit.run).peak == fit.breakdown.total
    assert fit.phase in ("forward", "backward", "step")
    assert fit.allocated < fit.reserved < fit.needed
    assert f"The largest batch that fits is {fit.largest_batch:,}." in str(fit)


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_is_advised_where_the_gpu_has_it(gpu, training):
    old = gpu.startswith(("RTX 20", "T4", "V100", "P40", "RTX 8000"))
    fit = will_it_fit(VIT, gpu, Run(batch_size=100_000, training=training))
    half = next(each.name for each in fit.remedies if "float16" in each.name)
    assert ("bfloat16" not in half) == old
    assert ("GradScaler" in half) == (old and training)
    assert "bfloat16" not in str(fit) or not old
    for precision in ("amp", "bf16"):
        said = str(will_it_fit(VIT, gpu, Run(batch_size=100_000, training=training, precision=precision)))
        assert (f"{gpu} computes in no bfloat16: take" in said) == old


@given(st.integers(0, 10**15))
def test_reserved_is_whole_segments_and_grows_with_allocated(allocated):
    assert reserved(allocated) % SEGMENT == 0
    assert reserved(allocated) >= 1.07 * allocated + WORKSPACE
    assert reserved(allocated + 1) >= reserved(allocated)


def test_it_fits_to_the_byte():
    needed = will_it_fit(VIT, 1000, Run(batch_size=8)).needed
    assert will_it_fit(VIT, needed / GIB, Run(batch_size=8)).fits
    assert not will_it_fit(VIT, (needed - 1) / GIB, Run(batch_size=8)).fits


def test_remedies_are_enough_when_asked_again():
    fit = will_it_fit(replace(PRESETS[VIT], depth=2, fused=False), "RTX 3060", Run(batch_size=1024))
    assert not fit.fits and fit.remedy in fit.remedies and fit.combined == ()
    for remedy in fit.remedies:
        if remedy.job.steps == 1:
            assert will_it_fit(remedy.change[0], "RTX 3060", remedy.change[1]).fits == remedy.fits
    assert all(not each.fits for each in fit.remedies[: fit.remedies.index(fit.remedy)])


def test_where_no_remedy_is_enough_several_are():
    fit = will_it_fit(replace(PRESETS[VIT], image_size=(1024, 1024), fused=False), 6, Run(batch_size=64))
    assert fit.remedy is None and len(fit.combined) > 1
    assert "No remedy is enough by itself; together these are: fused attention + " in str(fit)


def test_where_nothing_helps_it_says_so():
    fit = will_it_fit(VIT, 0.9, Run(batch_size=64))
    assert (fit.largest_batch, fit.remedy, fit.combined) == (0, None, ())
    assert "No remedy is enough, not even all together: take a smaller model, or a larger GPU." in str(fit)
    assert "Not even one picture would fit." in str(fit)


def test_pictures_of_a_million_pixels_a_side_get_an_exact_answer():
    config = replace(PRESETS[VIT], depth=2, image_size=(10**6, 10**6), fused=False)
    fit = will_it_fit(config, "B200", Run(batch_size=4096))
    tokens = (10**6 // 16) ** 2 + 1
    assert fit.breakdown.scores >= 4096 * 12 * tokens**2  # one block keeps at least a byte for each
    assert fit.largest_batch == 0 and not fit.fits
    assert will_it_fit(config, 10**18, Run(batch_size=4096)).fits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vit_bas_patch16_224", 8), "no model is called 'vit_bas_patch16_224': did you mean 'vit_base_patch16_224'?"),
        (("resnet50", 8), "no model is called 'resnet50'; vitlib.list_models() names them all"),
        ((VIT, "RTX 4091"), "did you mean 'RTX 4090'?"),
        ((VIT, -8), "gpu is -8: expected its memory in GiB"),
        ((VIT, 8, Run(window=5)), "5"),
        (("convnext_tiny", 8, Run(window=7)), "window"),
        ((VIT, None), "gpu is None: expected its memory in GiB"),
        ((VIT, True), "gpu is True: expected its memory in GiB"),
        ((create("vit_digits_patch2_8"), 8), "model is a ViT: expected a name or a configuration; it has one, model."),
        ((VIT, 8, {"batch_size": 4}), "run is a dict: expected vitlib.cost.run.Run"),
    ],
)
@pytest.mark.usefixtures("as_a_learner")
def test_what_cannot_be_is_said_clearly(arguments, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        will_it_fit(*arguments)


@pytest.mark.usefixtures("as_a_learner")
@pytest.mark.parametrize("field", ["training", "checkpointing", "ema"])
def test_a_switch_is_on_or_off(field):
    with pytest.raises(TypeError, match=f"{field} is 'no': expected True or False"):
        Run(**{field: "no"})


# the command


def test_the_command_prints_the_report(capsys):
    main([VIT, "--batch", "64", "--gpu", "RTX 4090", "--amp"])
    fit = will_it_fit(VIT, "RTX 4090", Run(batch_size=64, precision="amp"))
    assert capsys.readouterr().out == f"{fit}\n"
    first, second = str(fit).splitlines()[:2]
    assert first == "vit_base_patch16_224: pictures of 224 × 224 pixels, 197 tokens"
    assert second == "training with batch 64, amp, fused attention, adamw, on RTX 4090 with 23.52 GiB"


def test_every_option_of_the_command_changes_the_run(capsys):
    options = "--batch 8 --bf16 --checkpointing --optimizer sgd --ema --readable --size 256 512 --patch 32 --window 4"
    main([VIT, "--gpu", "40", *options.split()])
    config = replace(PRESETS[VIT], image_size=(256, 512), patch_size=32, fused=False)
    run = Run(8, precision="bf16", checkpointing=True, optimizer="sgd", ema=True, window=4)
    assert capsys.readouterr().out.splitlines()[1:] == str(will_it_fit(config, 40, run)).splitlines()[1:]
    main([VIT, "--gpu", "40", "--inference", "--pool-stride", "2"])
    said = "inference with batch 1, fp32, fused attention, keys pooled 2 × 2, on a GPU with 40.00 GiB"
    assert said in capsys.readouterr().out
    main([VIT, "--gpu", "40", "--merge", "8"])
    assert "8 pairs of tokens merged a block" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("vit_base --gpu 8", "no model is called 'vit_base'"),
        (f"{VIT} --gpu RTX4091", "did you mean 'RTX 4090'?"),
        (f"{VIT} --gpu -3", "gpu is -3.0: expected its memory in GiB"),
        (f"{VIT} --gpu nan", "gpu is nan: expected its memory in GiB"),
        (f"{VIT} --gpu 8 --batch 0", "batch"),
        (f"{VIT} --gpu 8 --size 230", "picture is 230×230 pixels: not a multiple of patch 16"),
        (f"{VIT} --gpu 8 --size 224 224 3", "--size is [224, 224, 3]: expected a side, or height and width"),
        ("convnext_tiny --gpu 8 --readable", "convnext_tiny has no 'fused', as it has no attention"),
        (f"{VIT} --gpu 8 --amp --bf16", "not allowed with argument --amp"),
        (f"{VIT}", "--gpu"),
    ],
)
def test_a_command_that_cannot_be_ends_with_one_line_and_code_2(options, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(options.split())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_it_is_a_command():
    command = [sys.executable, "-m", "vitlib.cost", "vit_tiny_patch16_224", "--gpu", "T4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "It fits: " in done.stdout


def test_the_context_is_no_part_of_what_torch_reserves():
    fit = will_it_fit(VIT, "T4")
    assert fit.needed - fit.reserved == CONTEXT
