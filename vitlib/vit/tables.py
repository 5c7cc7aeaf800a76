"""Tensors that follow from a configuration: indices, masks, fixed positions. No checkpoint stores them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class WithTables(nn.Module):
    """A module with constants that `tables` computes. They follow its weights to another device, but are not buffers.

    So no average of a model's buffers touches them: an averaged index, or an averaged mask of −∞, would be wrong. When
    the module leaves the meta device they are computed again, so that the usual recipe for large models works: built
    on "meta", `to_empty`, then `load_state_dict`.
    """

    table_names: tuple[str, ...] = ()

    def tables(self) -> Mapping[str, Tensor | None]:
        """The constants by name."""
        raise NotImplementedError

    def keep_tables(self, like: Tensor | None = None) -> None:
        """Compute them and keep them as attributes, on the device of `like`; floating-point ones in its dtype."""
        tables = self.tables()
        self.table_names = tuple(name for name, table in tables.items() if table is not None)
        for name, table in tables.items():
            if table is not None and like is not None:
                table = table.to(like.device, like.dtype if table.is_floating_point() else table.dtype)
            setattr(self, name, table)

    def constant(self, name: str, like: Tensor) -> Tensor:
        """A constant, on the device of another tensor: a replica of DataParallel has its own."""
        found: Tensor = getattr(self, name)
        return found if found.device == like.device else found.to(like.device)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "WithTables":
        super()._apply(fn, recurse)
        before: dict[str, Tensor] = {name: getattr(self, name) for name in self.table_names}
        fresh: Mapping[str, Any] = self.tables() if any(each.is_meta for each in before.values()) else {}
        for name, each in before.items():
            goal = fn(torch.empty(0, dtype=each.dtype, device=each.device))  # where to, and in which precision
            found = each if goal.is_meta or not each.is_meta else fresh[name]
            setattr(self, name, found.to(goal.device, goal.dtype))
        return self
