"""What a layout is: a table from our names to theirs, which is read in both directions.

In a name `#` stands for a number, `*` for weight or bias, and `{query,key,value}` for three tensors of theirs that are
one of ours, one under the other along the first axis. Our names are timm's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from torch import Tensor

Form = Literal["all", "cls", "none"]  # which of the tokens before the patches have a position row
Spelling = tuple[str, str | Callable[[re.Match[str]], str]]  # regular expression, and what stands there instead


@dataclass(frozen=True)
class Layout:
    """The names of one library for one family of models, and what that library computes with."""

    library: str
    family: Literal["ViT", "Swin", "ConvNeXt"]
    names: Mapping[str, str]  # ours: theirs
    implies: Mapping[str, Any]  # fields of the configuration, where nothing tells them
    with_registers: Mapping[str, Any] = field(default_factory=dict)  # what it computes with otherwise, if it has any
    prefix_positions: Literal["cls", "none", "any"] = "cls"  # which tokens before the patches have a position
    settable: tuple[str, ...] = ()  # fields that its library's users can set
    zeros: tuple[str, ...] = ()  # what its library wants besides, and a classifier has not: written as zeros, [1, D]
    also: tuple[Spelling, ...] = ()  # spellings that are read, never written; each in turn
    sign: str = ""  # regular expression: without a name like this, it is another's layout
    back: Callable[[str, Tensor], Tensor] = lambda name, theirs: theirs  # their tensor of that name → ours
    forth: Callable[[str, Tensor, int], Tensor] | None = None  # ours → theirs, with the number of heads; None: the same

    def ours(self, name: str) -> tuple[str, int] | None:
        """What we call their tensor, and which part of ours it is; None where the table does not know it."""
        for ours, theirs in self.names.items():
            for part, each in enumerate(_parts(theirs)):
                if found := _pattern(each).fullmatch(name):
                    return _filled(ours, found.groups()), part
        return None

    def theirs(self, name: str) -> tuple[str, ...]:
        """What they call our tensor: several names where they have it in parts, none where they have no place for it.

        >>> Layout("mine", "ViT", {"blocks.#.attn.qkv.*": "layer_#.{q,k,v}.*"}, {}).theirs("blocks.7.attn.qkv.bias")
        ('layer_7.q.bias', 'layer_7.k.bias', 'layer_7.v.bias')
        """
        for ours, theirs in self.names.items():
            if found := _pattern(ours).fullmatch(name):
                return tuple(_filled(each, found.groups()) for each in _parts(theirs))
        return ()

    def called(self, name: str) -> tuple[str, ...]:
        """What a message calls our tensor: by their names, by ours where they have no place for it."""
        return self.theirs(name) or (name,)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\#", r"(\d+)").replace(r"\*", "(weight|bias)"))


@cache
def _parts(template: str) -> tuple[str, ...]:
    before, _, rest = template.partition("{")
    inside, _, after = rest.partition("}")
    return tuple(before + each + after for each in inside.split(","))


def _filled(template: str, values: tuple[str, ...]) -> str:
    for value in values:
        template = re.sub(r"[#*]", value, template, count=1)
    return template
