"""GPUs by name and by size: spellings, sizes to choose from, and what is not known."""

import re

import pytest

from vitlib.cost.gpus import GIB, GPUS, budget_of


@pytest.mark.parametrize("name", GPUS)
def test_every_gpu_is_found_however_it_is_spelt(name):
    expected = (name, int(GPUS[name] * GIB))
    for spelling in (name, name.lower(), name.replace(" ", "-"), f"NVIDIA {name}", f"NVIDIA GeForce {name.upper()}"):
        assert budget_of(spelling) == expected


def test_the_drivers_own_names_are_known():
    assert budget_of("Tesla T4")[0] == "T4"
    assert budget_of("NVIDIA A100-SXM4-80GB")[0] == "A100 80GB"
    assert budget_of("NVIDIA RTX 6000 Ada Generation")[0] == "RTX 6000 Ada"


def test_a_gpu_has_less_than_its_name_says():
    for name, size in GPUS.items():
        if said := re.search(r"(\d+)GB", name):
            assert 0.9 * int(said[1]) < size < int(said[1])


@pytest.mark.parametrize("size", [8, 8.0, 0.5, 1000])
def test_a_number_is_a_size_in_gib(size):
    assert budget_of(size) == ("a GPU", int(size * GIB))


@pytest.mark.parametrize(
    ("gpu", "message"),
    [
        ("RTX 4091", "no GPU is called 'RTX 4091' here: did you mean 'RTX 4090'?; give its memory in GiB instead"),
        ("RTX 2080", "did you mean 'RTX 2080 Ti'?"),  # not taken for it: it has less
        ("H1000 80GB", "did you mean 'H100 80GB'?"),
        ("abacus", "no GPU is called 'abacus' here; give its memory in GiB instead"),
        ("", "no GPU is called '' here"),
        ("A100", "gpu 'A100' comes in 2 sizes: say which, 'A100 40GB' or 'A100 80GB'"),
        (0, "gpu is 0: expected its memory in GiB, more than 0, such as 24, or its name"),
        (-24, "gpu is -24: expected"),
        (float("nan"), "gpu is nan: expected"),
        (float("inf"), "gpu is inf: expected"),
    ],
)
def test_what_is_no_gpu_is_said_clearly(gpu, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        budget_of(gpu)
