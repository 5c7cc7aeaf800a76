"""Tensors that follow from a configuration: indices, masks, fixed positions. No checkpoint stores them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn


class WithTables(nn.Module):
    """A module with buffers that `tables` computes; it computes them again when the module leaves the meta device.

    So the usual recipe for large models works: built on "meta", `to_empty`, then `load_state_dict`.
    """

    def tables(self) -> Mapping[str, Tensor | None]:
        """The buffers by name."""
        raise NotImplementedError

    def keep_tables(self, like: Tensor | None = None) -> None:
        """Register them, outside the state dict; on the device of `like`, fractions in its dtype."""
        for name, table in self.tables().items():
            if table is not None and like is not None:
                table = table.to(like.device, like.dtype if table.is_floating_point() else table.dtype)
            self.register_buffer(name, table, persistent=False)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "WithTables":
        empty = [name for name, each in self._buffers.items() if each is not None and each.is_meta]
        super()._apply(fn, recurse)
        tables = self.tables() if any(not self.get_buffer(name).is_meta for name in empty) else {}
        for name, table in tables.items():
            if table is not None:
                self.get_buffer(name).copy_(table)
        return self
