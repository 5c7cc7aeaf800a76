"""Files of named tensors: .safetensors, .pth and .pt, .npz. Reading runs no code; writing is atomic.

The format is recognised by the first bytes, not by the suffix. Besides the tensors a file may have a note in JSON. It
lies in the metadata of a .safetensors file, and in the comment of the zip archive that the other formats are. So other
libraries read these files as usual.
"""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitlib.vit.config import renamed
from vitlib.weights.pickled import CheckpointError, State, damaged, state_in, unpickled

SUFFIXES = (".safetensors", ".pth", ".pt", ".npz")


def read(path: Path, part: str | None = None) -> tuple[State, dict[str, Any]]:
    """The tensors of a file, and its note ({} if it has none). `part` is the name of one of several state dicts in it.

    Errors: FileNotFoundError; CheckpointError for a file that is empty, cut off, damaged, would run code, or is of
    another format.
    """
    with path.open("rb") as file:
        head = file.read(64)
    size = path.stat().st_size
    if not head:
        raise CheckpointError(f"{path} is empty; fetch it again")
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path, part)
    if head[8:9] == b"{":
        return _read_safetensors(path, part)
    if head.startswith(b"\x80"):  # torch.save before version 1.6: one pickle, no archive
        return state_in(path, unpickled(path), part), {}
    raise CheckpointError(f"{path} ({size:,} bytes) is {_what(head)}, no file of tensors; fetch the checkpoint itself")


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


def _read_safetensors(path: Path, part: str | None) -> tuple[State, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = _note(path, (file.metadata() or {}).get("vitlib", ""))
    except SafetensorError as error:
        raise damaged(path, error) from None
    return (state_in(path, tensors, part) if tensors else {}), note


def _read_zip(path: Path, part: str | None) -> tuple[State, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names, comment, bad = archive.namelist(), archive.comment, archive.testzip()
    except Exception as error:  # damaged bytes make zipfile raise anything
        raise damaged(path, error) from None
    if bad:  # torch.load does not compare checksums
        raise damaged(path, f"{bad} fails its checksum")
    note = _note(path, comment.decode(errors="replace"))
    if all(name.endswith(".npy") for name in names):
        return state_in(path, _read_npz(path), part), note
    if any(name.endswith("constants.pkl") for name in names):
        raise CheckpointError(
            f"{path} is a TorchScript archive, a program with its weights; keep the weights alone: "
            'torch.save(torch.jit.load(path).state_dict(), "weights.pth")'
        )
    if any(name.endswith("data.pkl") for name in names):
        return state_in(path, unpickled(path), part), note
    raise CheckpointError(f"{path} is a zip archive of {', '.join(names[:3])} …, no file of tensors; unpack it")


def _note(path: Path, words: str) -> dict[str, Any]:
    if not words.startswith("{"):  # none, or another program's
        return {}
    try:
        return renamed(json.loads(words))
    except ValueError:
        raise damaged(path, "its note is no JSON") from None


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


def _what(head: bytes) -> str:
    if head.lstrip().startswith(b"<"):
        return "a web page, perhaps a server's error message"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, which stands for a file that was not fetched"
    if head.startswith(b"\x1f\x8b"):
        return "compressed by gzip"
    return f"something that begins with {head[:8]!r}"
