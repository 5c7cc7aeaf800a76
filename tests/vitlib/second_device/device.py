"""A second device for machines without a GPU: "fake" computes on the CPU and, as CUDA does, mixes with no other device.

Its tensors are wrappers of tensors on the CPU. An operation on one of them and on a tensor of the CPU (of more than a
single number) raises what CUDA raises, and numpy takes none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

from vitlib import device

aten = torch.ops.aten
ACROSS = {aten._to_copy.default, aten.copy_.default}  # what goes from one device to another
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}


class Module(backend_registration._DummyBackendModule):
    """What torch asks of a device's module."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, *_: object) -> Tensor:
        return torch.get_rng_state()  # it draws on the CPU

    def set_rng_state(self, *_: object) -> None:
        pass


class Elsewhere(torch.Tensor):
    """A tensor that says it lies on the fake device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        outer = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=torch.device("fake", 0)
        )
        outer.inner = inner
        return outer

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.inner!r} on fake:0"

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.dim() == 0 else repr(self), spec)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: object) -> NoReturn:
        raise TypeError("can't convert fake:0 device type tensor to numpy. Use Tensor.cpu() to copy it first")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        self.numpy()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class Machine(TorchDispatchMode):
    """Sees operations that are given no tensor of the device, too: those that make one."""

    def __enter__(self) -> Machine:
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(..., device=)` makes it on the CPU and moves it
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch._C._set_only_lift_cpu_tensors(False)
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU; what comes out lies where CUDA would leave it, and what may not meet raises."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = [each for each in tensors if isinstance(each, Elsewhere)]
    here = [each for each in tensors if not isinstance(each, Elsewhere) and each.dim()]
    if func in INDEXING and isinstance(args[0], Elsewhere):
        here = []  # CUDA takes indices of the CPU
    if there and here and func not in ACROSS:
        raise RuntimeError(f"Expected all tensors to be on the same device, found fake:0 and cpu ({func})")
    wanted = kwargs.get("device")
    on_fake = bool(there) if wanted is None else torch.device(wanted).type == "fake"
    if on_fake and (generator := kwargs.get("generator")) is not None and generator.device.type == "cpu":
        raise RuntimeError("Expected a 'fake' device type for generator but found 'cpu'")
    plain = tree_map_only(Elsewhere, lambda each: each.inner, args)
    named = tree_map_only(Elsewhere, lambda each: each.inner, kwargs)
    if wanted is not None:
        named["device"] = torch.device("cpu")
    out = func(*plain, **named)
    if func is aten.copy_.default:
        return args[0]
    if not on_fake:
        return out
    out = tree_map_only(Tensor, Elsewhere, out)
    return return_and_correct_aliasing(func, args, kwargs, out) if there else out


@contextmanager
def second_device() -> Iterator[None]:
    """A machine whose best device is the fake one. For a process of its own: torch takes such a device for good."""
    backend_registration._setup_privateuseone_for_python_backend("fake", backend_module=Module())
    device.available_devices = lambda: ["fake", "cpu"]
    autocast = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    autocast.fallback(torch.library.fallthrough_kernel)  # in the block, too, it computes in the precision that comes in
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a wrapper cannot swap what it wraps
    # a wrapper cannot be an inference tensor
    torch.inference_mode = lambda mode=True: torch.set_grad_enabled(not mode)  # type: ignore[assignment, misc]
    with Machine():
        yield
