"""The device: the fastest that is there, and a clear line for one that is not."""

import pytest
import torch

from vitlib.device import VARIABLE, available_devices, best_device


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
    assert best_device("cpu") == torch.device("cpu")
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
