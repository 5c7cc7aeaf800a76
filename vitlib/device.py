"""Where tensors live: the one place that chooses the device, so that no chapter says `.cuda()`."""

import os
import re
from contextlib import AbstractContextManager
from typing import Literal

import torch

Amp = bool | Literal["bfloat16", "float16"]  # automatic mixed precision: True takes what suits the device

VARIABLE = "VITLIB_DEVICE"  # environment variable that overrides the choice, such as VITLIB_DEVICE=cpu


def best_device(prefer: str | torch.device | None = None) -> torch.device:
    """The fastest device of this machine: CUDA, then MPS (Apple's GPU), then the CPU.

    `prefer`, or else the environment variable VITLIB_DEVICE, overrides the choice ("cpu", "mps", "cuda",
    "cuda:1", or a torch.device).

    >>> best_device("cpu")
    device(type='cpu')

    Errors: ValueError for a name that is no such device, RuntimeError for a device that is not there.
    """
    wanted = str(prefer) if prefer else os.environ.get(VARIABLE)
    if not wanted:
        return torch.device(available_devices()[0])
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", wanted):
        raise ValueError(f"device is {wanted!r}: expected 'cpu', 'mps', 'cuda' or a numbered 'cuda:0'")
    here = available_devices()
    if wanted not in here:
        source = "device" if prefer else VARIABLE
        raise RuntimeError(f"{source} is {wanted!r}, but torch finds {', '.join(here)}; choose one of these")
    return torch.device(wanted)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware, so that automatic mixed precision pays there.

    Where it does not, as on many CPUs, torch computes the same numbers many times slower than in float32.

    >>> fast_bfloat16(best_device("cpu")) in (True, False)
    True
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()  # the names of x86, then of ARM
    return device.type == "cpu" and any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def amp_dtype(device: torch.device, amp: Amp = True) -> torch.dtype:
    """What automatic mixed precision computes in: bfloat16, but float16 on GPUs before Ampere (V100, T4, RTX 20xx),
    whose units know no bfloat16. With float16, training scales the loss, so that small gradients do not become 0.

    >>> amp_dtype(torch.device("cpu")), amp_dtype(torch.device("cpu"), "float16")
    (torch.bfloat16, torch.float16)

    Errors: ValueError for an `amp` that is none.
    """
    check_amp(amp)
    if isinstance(amp, str):
        return torch.float16 if amp == "float16" else torch.bfloat16
    return torch.float16 if device.type == "cuda" and not fast_bfloat16(device) else torch.bfloat16


def check_amp(amp: object) -> None:
    """ValueError for anything but an Amp."""
    if amp not in (True, False, "bfloat16", "float16"):
        raise ValueError(f"amp is {amp!r}: expected True, False, 'bfloat16' or 'float16'")


def autocast(device: torch.device, amp: Amp) -> torch.autocast:
    """The block in which a model computes with automatic mixed precision, or as it is."""
    return torch.autocast(device.type, amp_dtype(device, amp), enabled=bool(amp))


def random_state_kept(device: torch.device) -> AbstractContextManager[None]:
    """The block may seed torch and draw from it; afterwards the random states of CPU and device are as before.

    >>> before = torch.get_rng_state()
    >>> with random_state_kept(best_device("cpu")):
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def available_devices() -> list[str]:
    """The names that `best_device` accepts on this machine, fastest first.

    >>> available_devices()[-1]
    'cpu'
    """
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{index}" for index in range(cards))] if cards else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]
