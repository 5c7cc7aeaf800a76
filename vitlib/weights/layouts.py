"""A layout: how one library names the tensors of a model. It is a table from our names to theirs, used both ways.

In a name `#` stands for a number and `*` for weight, bias or a statistic of a BatchNorm. `{query,key,value}` stands for
three tensors of theirs that we concatenate along the first axis. Our names are timm's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from torch import Tensor

Form = Literal["all", "cls", "none"]  # which of the tokens before the patches have a position row
Spelling = tuple[str, str | Callable[[re.Match[str]], str]]  # regular expression and replacement, as in re.sub
# regular expression of their names; their tensor → ours; ours → theirs, given the number of heads
Axes = tuple[str, Callable[[Tensor], Tensor], Callable[[Tensor, int], Tensor]]


@dataclass(frozen=True)
class Layout:
    """The names of one library for one family of models, and the defaults of that library."""

    library: str
    family: Literal["ViT", "Swin", "ConvNeXt"]
    names: Mapping[str, str]  # ours: theirs
    implies: Mapping[str, Any]  # fields of the configuration, if nothing else gives them
    with_registers: Mapping[str, Any] = field(default_factory=dict)  # other such fields for models with registers
    forms: tuple[Form, ...] = ("cls",)  # those that its models can have
    settable: tuple[str, ...] = ()  # fields that users of its library can set
    also: tuple[Spelling, ...] = ()  # other spellings, which are read but not written; replaced one after another
    sign: str = ""  # regular expression that some name has to match, or it is another layout
    axes: tuple[Axes, ...] = ()  # tensors with other axes than ours; the first expression that matches counts

    def ours(self, name: str) -> str | None:
        """Our name for the tensor that theirs is, or is a part of; None for an unknown name."""
        for ours, theirs in self.names.items():
            for each in _parts(theirs):
                if found := _pattern(each).fullmatch(name):
                    return _filled(ours, found)
        return None

    def theirs(self, name: str) -> tuple[str, ...]:
        """Their names for our tensor: several if they store it in parts, none if they do not have it.

        >>> Layout("mine", "ViT", {"blocks.#.attn.qkv.*": "layer_#.{q,k,v}.*"}, {}).theirs("blocks.7.attn.qkv.bias")
        ('layer_7.q.bias', 'layer_7.k.bias', 'layer_7.v.bias')
        """
        for ours, theirs in self.names.items():
            if found := _pattern(ours).fullmatch(name):
                return tuple(_filled(each, found) for each in _parts(theirs))
        return ()

    def called(self, name: str) -> tuple[str, ...]:
        """The names for our tensor in a message: theirs, or ours if they do not have it."""
        return self.theirs(name) or (name,)

    def back(self, name: str, theirs: Tensor) -> Tensor:
        """Their tensor of that name, with our axes."""
        return next((back(theirs) for pattern, back, _ in self.axes if re.fullmatch(pattern, name)), theirs)

    def forth(self, name: str, ours: Tensor, heads: int) -> Tensor:
        """Our tensor with the axes of theirs of that name."""
        return next((forth(ours, heads) for pattern, _, forth in self.axes if re.fullmatch(pattern, name)), ours)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    leaf = "(weight|bias|running_mean|running_var|num_batches_tracked)"
    return re.compile(re.escape(template).replace(r"\#", r"(\d+)").replace(r"\*", leaf))


@cache
def _parts(template: str) -> tuple[str, ...]:
    before, _, rest = template.partition("{")
    inside, _, after = rest.partition("}")
    return tuple(before + each + after for each in inside.split(","))


def _filled(template: str, found: re.Match[str]) -> str:
    values = iter(found.groups())
    return re.sub(r"[#*]", lambda _: next(values), template)
