"""Read a checkpoint from a state dict, a file, a folder of Hugging Face's or timm's, or a name on the hub."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from vitlib.weights import files
from vitlib.weights.files import CheckpointError, State

Source = str | PathLike[str] | Mapping[str, Any]  # a path or name, a state dict, or what torch.load returned
# names of the weights in a folder, in order of preference; an index lists which tensor is in which file
NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_model.safetensors",
)
HUB = re.compile(r"(?:hf[-_]hub:)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def open_source(
    source: Source, part: str | None = None, prefix: str = "", drop: str | Sequence[str] = ()
) -> tuple[State, dict[str, Any], Path | None]:
    """The tensors, the note that `save` wrote, and the file (None for a state dict).

    `prefix` takes only names that begin with it, and cuts it off; `drop` leaves out names, by shell patterns.

    Errors: FileNotFoundError; CheckpointError for a folder without weights, and those of files.read.
    """
    note: dict[str, Any] = {}
    path: Path | None = None
    if isinstance(source, Mapping):
        state = files.state_in("the state dict", source, part)
    else:
        path = _file(source)
        state, note = _sharded(path, part) if path.name.endswith(".index.json") else files.read(path, part)
    if prefix:
        state = {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
        if not state:
            raise CheckpointError(f"no name begins with {prefix!r}; look at list(state) for the one that is meant")
    return without(state, drop), note, path


def without(state: Mapping[str, Tensor], drop: str | Sequence[str]) -> State:
    """The state dict without the names that a shell pattern of `drop` matches."""
    drop = [drop] if isinstance(drop, str) else drop
    return {name: each for name, each in state.items() if not any(fnmatch(name, pattern) for pattern in drop)}


def _file(source: str | PathLike[str]) -> Path:
    path = Path(source)
    if not path.exists() and (hub := HUB.fullmatch(os.fspath(source))) and not path.suffix.startswith(files.SUFFIXES):
        path = _fetched(hub[1], hub[2])
    if not path.is_dir():
        return path
    for name in NAMES:
        if (path / name).exists():
            return path / name
    rest = [each for each in sorted(path.iterdir()) if each.suffix in (*files.SUFFIXES, ".bin")]
    if len(rest) == 1:
        return rest[0]
    there = ", ".join(each.name for each in rest or sorted(path.iterdir())) or "nothing"
    raise CheckpointError(f"{path} holds {there}: expected {', '.join(NAMES[:4])}; or give the file itself")


def _sharded(index: Path, part: str | None) -> tuple[State, dict[str, Any]]:
    """The tensors of all files in an index."""
    try:
        places = {str(name): str(file) for name, file in json.loads(index.read_text())["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is no index of files ({error!r}); fetch it again") from None
    state: State = {}
    for file in sorted(set(places.values())):
        if Path(file).name != file or not (index.parent / file).exists():
            raise CheckpointError(f"{index.name} names {file}, which is not beside it; fetch the whole folder")
        found = files.read(index.parent / file, part)[0]
        if differing := sorted(found.keys() ^ {name for name in places if places[name] == file}):
            raise CheckpointError(f"{index.name} and {file} disagree about {differing[0]}; fetch both again")
        state |= found
    return state, {}


def _fetched(name: str, revision: str | None) -> Path:
    """The folder of a model from Hugging Face's hub, downloaded once into its cache."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(
            f"there is no file {name!r}; for a model of that name on Hugging Face's hub, pip install huggingface_hub"
        ) from None
    for weights in (("*.safetensors", "*.safetensors.index.json"), ("*.bin", "*.bin.index.json")):
        try:
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=["*config.json", *weights]))
        except Exception as error:  # unknown model, no network, no permission: each has its own class
            first = str(error).strip().splitlines()[0]
            raise FileNotFoundError(
                f"there is no file {name!r}, and the hub did not give that model: {first}"
            ) from None
        if any((folder / each).exists() for each in NAMES):
            break
    return folder
