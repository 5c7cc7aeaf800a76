"""Files of torch.save: pickles, read without running code, and the state dicts in them."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. The message says what was found, what was expected, and what to do."""


def unpickled(path: Path) -> Any:
    """The content of a pickle. Errors: CheckpointError for one that is damaged, or would run code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the unpickler raise anything
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} asks Python to call {named[1]}, and weights need no code: refused, and nothing was run. "
                "Take the .safetensors file instead; or, if you trust who made it, keep its tensors alone: "
                'torch.save(torch.load(path, weights_only=False)["model"], "weights.pth")'
            ) from None
        raise damaged(path, "its pickle breaks off") from None


def state_in(path: Path | str, content: Any, part: str | None) -> State:
    """The state dict in what torch.load returned: the content itself, or one of its entries.

    Errors: CheckpointError if there is none, none of the name `part`, or several and no `part`.
    """
    if part is None and _is_state(content):
        return dict(content)
    entries = content if isinstance(content, Mapping) else {}
    parts = [name for name, entry in entries.items() if _is_state(entry)]
    if part in parts or (part is None and len(parts) == 1):
        return dict(entries[part or parts[0]])
    there = ", ".join(f"{name!r} ({type(entry).__name__})" for name, entry in list(entries.items())[:8])
    choice = f"choose one with part=: {', '.join(map(repr, parts))}" if parts else "expected tensors by name"
    asked = f"no state dict {part!r}" if part else f"{len(parts)} state dicts"
    raise CheckpointError(f"{path} holds {asked}; {choice}. In it: {there or type(content).__name__}")


def damaged(path: Path, why: object) -> CheckpointError:
    """The error for a damaged file."""
    return CheckpointError(
        f"{path} ({path.stat().st_size:,} bytes) is cut off or damaged ({why}); fetch it again and compare its "
        "size or checksum with the source's"
    )


def _is_state(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or not entry:
        return False
    return all(isinstance(name, str) and isinstance(each, Tensor) for name, each in entry.items())
