"""Chapter 7: snapshots, from which an interrupted training run resumes with the same results."""

import ast
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from vitlib.data.pictures import Pictures
from vitlib.training.average import Average
from vitlib.training.history import History
from vitlib.training.recipe import Recipe
from vitlib.vit.attention import Attention
from vitlib.vit.checks import shortened
from vitlib.vit.config import renamed
from vitlib.vit.wrappers import unwrapped
from vitlib.weights import CheckpointError, files
from vitlib.weights.files import State


class TrainingError(RuntimeError):
    """A run that cannot continue. The message says at which step, why, what was saved, and what to do."""


@dataclass(frozen=True)
class Snapshot:
    """The file of a run: its weights, their moving average, the best weights so far, the states of the optimizers, and
    the history, as .safetensors.

    It is replaced after every epoch, in one atomic step. It holds no random state, as each step has its own seed.
    """

    path: Path
    model: nn.Module
    average: Average | None
    optimizers: list[Optimizer]
    scaler: GradScaler
    about: dict[str, Any]  # identifies the run, see `about`; a snapshot of another run is refused

    def __post_init__(self) -> None:
        """Errors: CheckpointError for an unknown suffix, FileNotFoundError for a folder that does not exist."""
        files.check_place(self.path)

    def write(self, history: History, best: State | None = None) -> None:
        """Replace the file. Errors: TrainingError if it cannot be written; the last snapshot is then still there."""
        state = self.model.state_dict()
        tensors = _prefixed("model", state)
        if self.average is not None:
            tensors |= _prefixed("average", self.average.values)
        if best:
            tensors |= _prefixed("best", best)
        for place, optimizer in enumerate(self.optimizers):
            for number, moments in optimizer.state_dict()["state"].items():
                tensors |= _prefixed(f"optimizer.{place}.{number}", moments)
        with self.average.inside(self.model) if self.average else nullcontext():
            about = self.about | {"left": digest(best or self.model.state_dict())}
        try:
            note = {"about": about, "history": asdict(history), "scaler": self.scaler.state_dict()}
            files.write(self.path, tensors, note)
        except (OSError, SafetensorError) as error:
            size = sum(each.nbytes for each in tensors.values()) / 1e6
            kept = "its last snapshot is whole" if self.path.exists() else "nothing is left of it"
            raise TrainingError(
                f"{self.path} could not be written after epoch {len(history)} ({error}); {kept}. Make room for "
                f"{size:.1f} MB, or save elsewhere; the same call then goes on from the last snapshot"
            ) from None

    def read(self) -> tuple[History, State | None]:
        """Restore the model, its average and the optimizers; return the history and the best weights so far.

        Errors: CheckpointError for a file that is damaged, is no snapshot, or is of another run (the message says what
        differs).
        """
        tensors, note = files.read(self.path)
        if not note.keys() >= {"about", "history"}:
            raise CheckpointError(f"{self.path} holds weights, but no training run; give another save=")
        if apart := _apart(self.about, note["about"]):
            raise CheckpointError(
                f"{self.path} is of another run: {'; '.join(apart)}. Give another save=, or resume=False to replace it"
            )
        self.model.load_state_dict(_under("model", tensors))
        if self.average is not None:
            self.average.take(_under("average", tensors))
        for place, optimizer in enumerate(self.optimizers):
            moments: dict[int, State] = {}
            for name, each in _under(f"optimizer.{place}", tensors).items():
                number, moment = name.split(".")
                moments.setdefault(int(number), {})[moment] = each
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if note.get("scaler"):
            self.scaler.load_state_dict(note["scaler"])
        device, best = next(self.model.parameters()).device, _under("best", tensors)
        # in the order of the model, on which `digest` depends
        ordered = {name: best[name].to(device) for name in self.model.state_dict() if best}
        return History(**note["history"]), ordered or None


def about(
    model: nn.Module,
    train: Pictures,
    recipe: Any,
    valid: Pictures | None = None,
    test: Pictures | None = None,
    teacher: nn.Module | None = None,
) -> dict[str, Any]:
    """What identifies a run: recipe, model, initial weights, trained parameters, pictures and teacher."""
    bare = unwrapped(model)
    shapes = {name: list(each.shape) for name, each in bare.state_dict().items()}
    config = getattr(bare, "config", None)
    told = asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
    told.pop("class_names", None)  # `fit` sets them
    attention = {type(each).__name__ for each in bare.modules() if isinstance(each, Attention)}
    learns = [name for name, each in bare.named_parameters() if each.requires_grad]
    return {
        "recipe": asdict(recipe),
        "model": {"kind": type(bare).__name__, "attention": sorted(attention), **told},
        "weights": zlib.crc32(json.dumps(shapes).encode()),
        "first weights": digest(bare.state_dict()),
        "learns": f"{len(learns)} tensors: {shortened(learns, 3)} ({zlib.crc32(json.dumps(learns).encode()):08x})",
        **_pictures(train),
        "valid": _pictures(valid) if valid is not None else None,
        "test": _pictures(test) if test is not None else None,
        "teacher": digest(teacher.state_dict()) if teacher else None,
    }


def digest(state: Mapping[str, Tensor]) -> int:
    """A checksum of names and tensors, in this order."""
    found = 0
    for name, each in state.items():
        found = zlib.crc32(name.encode(), found)
        found = _checksum(each.reshape(-1).view(torch.uint8), found)
    return found


def _checksum(tensor: Tensor, before: int = 0) -> int:
    return zlib.crc32(tensor.detach().cpu().contiguous().numpy().data, before)


def _pictures(pictures: Pictures) -> dict[str, Any]:
    return {
        "pictures": f"{len(pictures)} of {'×'.join(map(str, pictures.images.shape[1:]))}",
        "pixels": _checksum(pictures.images),
        "labels": _checksum(pictures.labels),
        "classes": list(pictures.classes),
    }


def _apart(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The differences between two runs, in words. Older snapshots have fewer fields; only those are compared."""
    here = json.loads(json.dumps(mine))
    model = theirs["model"] if isinstance(theirs["model"], dict) else _read_model(theirs["model"])
    there = {**theirs, "model": renamed(model), "recipe": renamed(theirs["recipe"])}
    usual = json.loads(json.dumps({field.name: field.default for field in fields(Recipe)}))
    there["recipe"] = usual | there["recipe"]  # newer fields had their defaults
    if here["first weights"] == there.get("left"):  # the model has the weights with which this run ended
        there["first weights"] = here["first weights"]
    return [*_differences("", here, there)]


def _differences(name: str, here: dict[str, Any], there: dict[str, Any]) -> Iterator[str]:
    for field in (field for field in here if field in there):
        mine, theirs = here[field], there[field]
        if isinstance(mine, dict) and isinstance(theirs, dict):
            yield from _differences(f"{name}{field}'s " if field in ("valid", "test", "model") else name, mine, theirs)
        elif mine != theirs:
            words = ["none" if each is None else "given" if isinstance(each, dict) else each for each in (theirs, mine)]
            remedy = " (create the model as it was before the run: the same seed)" * (field == "first weights")
            yield f"{name}{field} is {words[0]} there and {words[1]} here{remedy}"


def _read_model(words: str) -> dict[str, Any]:
    """The fields of a configuration from the text in old snapshots, such as `ViT ViTConfig(patch=2, …)`."""
    kind, _, config = words.partition(" ")
    try:
        call = ast.parse(config, mode="eval").body
        told = {each.arg: ast.literal_eval(each.value) for each in getattr(call, "keywords", ()) if each.arg}
    except (SyntaxError, ValueError):
        told = {}
    return {"kind": kind, **json.loads(json.dumps(told))}


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> State:
    return {f"{prefix}.{name}": each for name, each in tensors.items()}


def _under(prefix: str, tensors: State) -> State:
    return {name.removeprefix(f"{prefix}."): each for name, each in tensors.items() if name.startswith(f"{prefix}.")}
