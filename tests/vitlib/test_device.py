"""The device: the fastest that is there, and a clear line for one that is not."""

import pytest
import torch

from vitlib.device import VARIABLE, available_devices, best_device, fast_bfloat16


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_fastest_device_comes_first():
    fastest = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert best_device() == torch.device(fastest)


def test_every_available_device_computes():
    for name in available_devices():
        assert torch.ones(3, device=best_device(name)).sum().item() == 3


def test_the_environment_overrides_and_the_argument_overrides_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cpu")
    assert best_device() == torch.device("cpu")
    monkeypatch.setenv(VARIABLE, "abacus")
    assert best_device("cpu") == best_device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises(ValueError, match="device is 'abacus': expected 'cpu', 'mps', 'cuda' or"):
        best_device()


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:", "cuda:-1", "cpu:0:1"])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(ValueError, match=f"device is '{name}': expected 'cpu', 'mps', 'cuda' or"):
        best_device(name)


def test_a_device_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(RuntimeError, match=r"device is 'cuda:99', but torch finds .*cpu; choose"):
        best_device("cuda:99")
    monkeypatch.setenv(VARIABLE, "cuda:99")
    with pytest.raises(RuntimeError, match=r"VITLIB_DEVICE is 'cuda:99', but torch finds .*cpu"):
        best_device()


def test_bfloat16_is_fast_where_the_cpu_says_so(monkeypatch):
    cpu = torch.device("cpu")
    for name in ("avx512_bf16", "amx_bf16", "bf16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {"avx2": True, name: True})
        assert fast_bfloat16(cpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_f": True, "avx512_bf16": False})
    assert not fast_bfloat16(cpu)
