"""What chapter 9 says of itself, of torch and of the library, is so."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograde.authoring.key import load_key
from autograde.exercises import Code, Plain
from vitlib import create
from vitlib.cost import Run, cost
from vitlib.diagnose.hunts import FAULTS, faults
from vitlib.diagnose.mistakes import WideHeads, infect
from vitlib.diagnose.patients import PATIENTS
from vitlib.diagnose.ward import bed, smoothed
from vitlib.vit.attention import Attention, attention_weights
from vitlib.vit.attention_maps import rollout
from vitlib.vit.config import ViTConfig
from vitlib.vit.patches import patchify

FOLDER = Path(__file__).parents[2] / "solutions" / "09-debugging-clinic"
KEY = load_key(FOLDER)
SMALL = st.integers(1, 4)
GIB = 2**30


def code(name: str) -> Callable[..., Any]:
    exercise = KEY[name]
    assert isinstance(exercise, Code)
    return exercise.reference


def sick(name: str) -> Callable[..., Any]:
    """The function that the prompt shows, taken out of the prompt."""
    exercise = KEY[name]
    prompt = exercise.fill(exercise.prompt)
    names: dict[str, Any] = {"torch": torch}
    exec(prompt.split("```python\n")[1].split("```")[0], names)
    return names[exercise.variable]


def everyones(name: str) -> list[tuple[Any, Any]]:
    """The parameters of some variants, and their answers."""
    exercise = KEY[name]
    assert isinstance(exercise, Plain) and len(exercise.variants) > 20
    some = exercise.variants[:: len(exercise.variants) // 20]
    return [(SimpleNamespace(**variant.parameters), variant.value(variant.answer)) for variant in some]


# the numbers


def test_everyones_bisection_ends_after_so_many_runs_and_no_fewer() -> None:
    for it, minutes in everyones("bisect-runs"):
        runs, most = minutes // it.minutes, 0
        for culprit in (0, it.changes // 2, it.changes - 1):
            low, high, used = 0, it.changes - 1, 0  # the culprit is one of low … high
            while low < high:
                middle, used = (low + high) // 2, used + 1
                low, high = (low, middle) if culprit <= middle else (middle + 1, high)
            most = max(most, used)
        assert 2 ** (runs - 1) < it.changes <= 2**runs and most <= runs


def test_everyones_pixel_is_normalised_twice() -> None:
    for it, answer in everyones("twice-normalised"):
        x = torch.tensor(it.byte / 255, dtype=torch.float64)
        for _ in range(2):
            x = (x - it.mean) / it.std
        assert answer == pytest.approx(x.item())


def test_everyones_rows_sum_to_what_a_late_scale_leaves() -> None:
    for it, answer in everyones("late-scale"):
        q, k = torch.randn(2, 7, it.width // it.heads, generator=torch.Generator().manual_seed(0))
        late = (q @ k.T).softmax(dim=-1) / (it.width // it.heads) ** 0.5
        assert late.sum(dim=-1).tolist() == pytest.approx([answer] * 7)


def test_wide_heads_have_h_times_as_many_weights() -> None:
    for width, heads in ((64, 4), (96, 3)):
        ours, wide = Attention(width, heads), WideHeads(width, heads)
        ours, wide = (sum(each.weight.numel() for each in (layer.qkv, layer.proj)) for layer in (ours, wide))
        assert (ours, wide) == (4 * width**2, 4 * heads * width**2)


# what is mended


@given(count=st.integers(2, 12), classes=st.integers(2, 6), seed=st.integers(0, 2**30))
def test_the_sick_accuracy_is_that_of_a_table_and_the_mended_one_is_not(count: int, classes: int, seed: int) -> None:
    dice = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=dice)
    labels = torch.randint(classes, (count,), generator=dice)
    right = (logits.argmax(1) == labels).double().mean().item()
    assert code("accuracy")(logits, labels) == code("accuracy")(logits, labels[:, None]) == pytest.approx(right)
    assert sick("accuracy")(logits, labels) == pytest.approx(right)
    table = (logits.argmax(1) == labels[:, None]).double().mean().item()
    assert sick("accuracy")(logits, labels[:, None]) == pytest.approx(table)


@given(batch=SMALL, width=st.integers(1, 5), rows=SMALL, columns=SMALL, patch=st.integers(1, 3))
def test_the_mended_tokens_are_those_of_the_patches(
    batch: int, width: int, rows: int, columns: int, patch: int
) -> None:
    images = torch.randn(batch, 2, rows * patch, columns * patch)
    weight = torch.randn(width, 2, patch, patch)
    tokens = code("to-tokens")(F.conv2d(images, weight, stride=patch))
    assert torch.allclose(tokens, patchify(images, patch) @ weight.flatten(1).T, atol=1e-4)


@given(layers=SMALL, heads=SMALL, tokens=st.integers(2, 6), seed=st.integers(0, 2**30))
def test_the_mended_rollout_is_the_librarys(layers: int, heads: int, tokens: int, seed: int) -> None:
    q, k = torch.randn(2, layers, heads, tokens, 3, generator=torch.Generator().manual_seed(seed))
    maps = attention_weights(q, k)
    mine = code("rollout")(maps)
    assert torch.allclose(mine, rollout(maps[None])[0], atol=1e-5)
    assert torch.allclose(code("rollout")(maps * (maps > 0.3)).sum(-1), torch.ones(tokens), atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_mended_loading_gives_what_strict_loading_gives(prefix: str) -> None:
    fresh, other = (create("vit_digits_patch2_8", seed=seed) for seed in (0, 1))
    found = {prefix + name: each for name, each in other.state_dict().items()}
    fresh.load_state_dict(code("take-weights")(fresh.state_dict(), found))
    assert all(torch.equal(each, fresh.state_dict()[name]) for name, each in other.state_dict().items())
    found.popitem()
    with pytest.raises(ValueError, match="lacks"):
        code("take-weights")(fresh.state_dict(), found)


def test_the_sick_loading_is_what_strict_false_comes_to() -> None:
    fresh, other = (nn.Linear(2, 2) for _ in range(2))
    before = {name: each.clone() for name, each in fresh.state_dict().items()}
    found = {f"module.{name}": each for name, each in other.state_dict().items()}
    taken = sick("take-weights")(before, found)
    fresh.load_state_dict(found, strict=False)
    assert all(torch.equal(each, before[name]) for name, each in fresh.state_dict().items())
    assert all(torch.equal(each, before[name]) for name, each in taken.items())


# what is said of the patients, wherever they were trained


@pytest.mark.parametrize(
    ("number", "name"), [(1, "healthy"), (2, "pixels"), (3, "blur"), (4, "mode"), (5, "positions"),
                         (6, "batch positions"), (7, "low rate"), (8, "loss"), (9, "high rate"), (10, "reshape"),
                         (11, "scale"), (12, "late scale"), (13, "readout"), (14, "wide heads"), (15, "weights")]
)  # fmt: skip
def test_everybody_lies_in_the_bed_that_the_exercises_name(number: int, name: str) -> None:
    assert [*PATIENTS][number - 1] == name


def test_beds_2_and_3_were_trained_as_bed_1_was_and_fail_in_use() -> None:
    assert bed(1).losses == bed(2).losses == bed(3).losses
    assert all(bed(number).test_accuracy < bed(1).test_accuracy - 0.15 for number in (2, 3))


def test_of_the_three_that_do_not_learn_only_bed_9_leaps_and_only_bed_8_learns_one_batch() -> None:
    assert max(smoothed(bed(9).losses)) > 4.5 > max(max(bed(number).losses) for number in (7, 8))
    assert [bed(number).rate["one batch"].verdict for number in (7, 8, 9)] == ["alarm", "fine", "alarm"]


def test_beds_10_to_14_learn_and_answer_steadily() -> None:
    for number in range(10, 15):
        chart = bed(number)
        assert chart.same_again == chart.same_reversed == 1.0 and chart.logit_change > 0.01
        assert chart.test_accuracy > 0.7
    assert bed(5).test_accuracy > bed(1).test_accuracy - 0.15


@settings(max_examples=5)
@given(seed=st.integers(0, 2**30))
def test_positions_of_a_batch_are_blind_for_places_and_not_for_company(seed: int) -> None:
    model = infect(create("vit_digits_patch2_8", seed=seed), "batch positions").double().eval()
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(model(images), model(images.roll(4, dims=3)))  # whole patches change places
        assert not torch.allclose(model(images), model(images.flip(0)).flip(0))


# the hunts


def test_the_table_of_suspects_names_the_part_that_each_fault_replaces() -> None:
    cells = {cell.id: cell.source for cell in nbformat.read(FOLDER / "09-debugging-clinic.ipynb", as_version=4).cells}
    rows = dict(re.findall(r"^\| (\d) \| `(\w+)` \|", cells["s7h-5"], re.MULTILINE))
    replaced = {str(fault): [name for name in vars(kind) if name[0] != "_"] for fault, kind in FAULTS.items()}
    assert {fault: [part] for fault, part in rows.items()} == replaced
    assert "hunt(12)" in cells["s7h-8"] and faults(12) == (7,)  # the one that is hunted together


def test_everyones_hunt_is_for_faults_that_nobody_has_named() -> None:
    for it, answer in everyones("one-fault"):
        assert (answer - 10 * it.case,) == faults(it.case) != (7,)
    for it, answer in everyones("two-faults"):
        assert tuple(map(int, str(answer))) == faults(it.case)


# the patient that does not get up


def test_of_the_remedies_that_change_nothing_only_both_together_fit() -> None:
    large = ViTConfig((896, 896), num_classes=10, embed_dim=384, num_heads=6, fused=False)
    fused, saving = replace(large, fused=True), Run(batch_size=16, checkpointing=True)
    assert cost(fused, saving).peak < 0.9 * 8 * GIB
    for config, run in ((large, Run(batch_size=16)), (large, saving), (fused, Run(batch_size=16))):
        assert cost(config, run).peak > 8 * GIB


def test_the_prompt_of_the_rollout_says_what_broadcasting_does() -> None:
    mixed = torch.rand(4, 4)
    assert torch.equal(mixed / mixed.sum(dim=-1), mixed / mixed.sum(dim=-1)[None, :])


def test_the_book_ends_with_its_road_in_one_line() -> None:
    cells = nbformat.read(FOLDER / "09-debugging-clinic.ipynb", as_version=4).cells
    assert "patch → token → relation → class" in cells[-1].source and "**Next:**" in cells[-1].source
