"""Chapters 6 and 7: the memory of a program's tensors, in bytes, now and at its peak."""

import weakref
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Counter(TorchDispatchMode):
    """Inside the block, count the bytes of all tensors that operations return: those alive `now`, and their `peak`.

    A view adds nothing, as it shares memory. Memory that kernels use internally is not counted.

    >>> import torch
    >>> with Counter() as counter:
    ...     x = torch.ones(1000)  # 4 bytes a number
    ...     x = x.view(10, 100) + 1  # the sum beside what it is made of; then the old x goes
    >>> counter.now, counter.peak
    (4000, 8000)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_key(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}  # a view adds nothing
        out = func(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, Tensor) and _key(each) not in given | self.known:
                storage = each.untyped_storage()
                self.known.add(_key(each))
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._freed, _key(each), storage.nbytes())
        return out

    def _freed(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
