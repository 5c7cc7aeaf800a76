"""Files of named tensors: .safetensors, .pth and .pt, .npz. Reading runs no code; writing is atomic.

The format is recognised by the first bytes, not by the suffix. Besides the tensors a file may have a note in JSON. It
is in the metadata of a .safetensors file, and in the comment of the zip archive that the other formats are. So other
libraries read these files as usual.
"""

import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitlib.vit.config import renamed

State = dict[str, Tensor]
SUFFIXES = (".safetensors", ".pth", ".pt", ".npz")
# what files of something else begin with
OTHERS = {
    b"<": "a web page, perhaps a server's error message",
    b"version https://git-lfs": "a pointer of Git LFS, which stands for a file that was not fetched",
    b"\x1f\x8b": "compressed by gzip",
}


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. The message says what was found, what was expected, and what to do."""


def read(path: Path, part: str | None = None) -> tuple[State, dict[str, Any]]:
    """The tensors of a file, and its note ({} if it has none). `part` is the name of one of several state dicts in it.

    Errors: FileNotFoundError; CheckpointError for a file that is empty, cut off, damaged, would run code, or is of
    another format.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise CheckpointError(f"{path} is empty; fetch it again")
    if head.startswith(b"PK\x03\x04"):
        content, note = _read_zip(path)
    elif head[8:9] == b"{":
        content, note = _read_safetensors(path)
    elif head.startswith(b"\x80"):  # torch.save before version 1.6: one pickle, no archive
        content, note = _unpickled(path), {}
    else:
        known = [what for start, what in OTHERS.items() if head.lstrip().startswith(start)]
        what = known[0] if known else f"something that begins with {head[:8]!r}"
        size = path.stat().st_size
        raise CheckpointError(f"{path} ({size:,} bytes) is {what}, no file of tensors; fetch the checkpoint itself")
    return (state_in(path, content, part) if content else {}), note


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


def _is_state(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or not entry:
        return False
    return all(isinstance(name, str) and isinstance(each, Tensor) for name, each in entry.items())


def write(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Write tensors and a note, in the format of the suffix. An old file is replaced when the new one is complete.

    Errors: CheckpointError for another suffix; FileNotFoundError for a folder that does not exist.
    """
    check_place(path)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    words = json.dumps(note)
    with whole(path) as draft:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(state, draft, metadata={"format": "pt", "vitlib": words})
        else:
            if path.suffix == ".npz":
                _write_npz(draft, state)
            else:
                torch.save(state, draft)
            with zipfile.ZipFile(draft, "a") as archive:
                archive.comment = words.encode()


def check_place(path: Path) -> None:
    """Raise CheckpointError for another suffix, FileNotFoundError for a folder that does not exist."""
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path.name!r} ends in {path.suffix!r}: expected one of {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder at {path.parent}: create it, or check the path")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary file that replaces `path` when the block ends without an error, and is removed otherwise."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())  # write it to the disk before it gets its name
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _read_safetensors(path: Path) -> tuple[State, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, _note(path, (file.metadata() or {}).get("vitlib", ""))
    except SafetensorError as error:
        raise _damaged(path, error) from None


def _read_zip(path: Path) -> tuple[Any, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names, comment, bad = archive.namelist(), archive.comment, archive.testzip()
    except Exception as error:  # damaged bytes make zipfile raise anything
        raise _damaged(path, error) from None
    if bad:  # torch.load does not compare checksums
        raise _damaged(path, f"{bad} fails its checksum")
    note = _note(path, comment.decode(errors="replace"))
    if all(name.endswith(".npy") for name in names):
        return _read_npz(path), note
    if any(name.endswith("constants.pkl") for name in names):
        raise CheckpointError(
            f"{path} is a TorchScript archive, a program with its weights; keep the weights alone: "
            'torch.save(torch.jit.load(path).state_dict(), "weights.pth")'
        )
    if any(name.endswith("data.pkl") for name in names):
        return _unpickled(path), note
    raise CheckpointError(f"{path} is a zip archive of {', '.join(names[:3])} …, no file of tensors; unpack it")


def _unpickled(path: Path) -> Any:
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
        raise _damaged(path, "its pickle breaks off") from None


def _note(path: Path, words: str) -> dict[str, Any]:
    if not words.startswith("{"):  # none, or another program's
        return {}
    try:
        return renamed(json.loads(words))
    except ValueError:
        raise _damaged(path, "its note is no JSON") from None


def _damaged(path: Path, why: object) -> CheckpointError:
    return CheckpointError(
        f"{path} ({path.stat().st_size:,} bytes) is cut off or damaged ({why}); fetch it again and compare its "
        "size or checksum with the source's"
    )


def _read_npz(path: Path) -> State:
    import numpy

    state = {}
    with numpy.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            try:
                array = arrays[name]
                is_bfloat16 = array.dtype == "V2"  # numpy has no name for it, and big_vision writes the two bytes
                tensor = torch.from_numpy(array.view("int16") if is_bfloat16 else array)
            except (TypeError, ValueError, EOFError, MemoryError) as error:
                raise CheckpointError(f"{path}: {name!r} is no array of numbers ({error}); leave it out") from None
            state[name] = tensor.view(torch.bfloat16) if is_bfloat16 else tensor
    return state


def _write_npz(path: Path, state: State) -> None:
    import numpy

    arrays = {
        name: tensor.view(torch.int16).numpy().view("V2") if tensor.dtype == torch.bfloat16 else tensor.numpy()
        for name, tensor in state.items()
    }
    with path.open("wb") as file:  # given a path, numpy would add a suffix of its own
        numpy.savez(file, **arrays)  # type: ignore[arg-type]  # numpy types a name as its allow_pickle
