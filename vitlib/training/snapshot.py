"""Chapter 7: a training run on disk, from which it goes on as if it had never stopped."""

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from vitlib.data.pictures import Pictures
from vitlib.training.history import History
from vitlib.weights import CheckpointError, files


class TrainingError(RuntimeError):
    """A run that cannot go on: at which step, why, what is kept, and what to do."""


@dataclass(frozen=True)
class Snapshot:
    """One run's place on disk: a .safetensors file of weights, their average, the optimisers' moments, and the history.

    It is replaced after every epoch, the whole file or not at all. Dice are not in it: each step throws dice of its
    own number.
    """

    path: Path
    model: nn.Module
    average: AveragedModel | None
    optimizers: list[Optimizer]
    about: dict[str, Any]  # what makes the run this one: a snapshot of another is refused

    def write(self, history: History) -> None:
        """Errors: TrainingError where the disk does not take it; the last snapshot is then still whole."""
        tensors = _prefixed("model", self.model.state_dict())
        if self.average is not None:
            tensors |= _prefixed("average", self.average.state_dict())
        for place, optimizer in enumerate(self.optimizers):
            for number, moments in optimizer.state_dict()["state"].items():
                tensors |= _prefixed(f"optimizer.{place}.{number}", moments)
        try:
            files.write(self.path, tensors, {"about": self.about, "history": asdict(history)})
        except (OSError, SafetensorError) as error:
            size = sum(each.nbytes for each in tensors.values()) / 1e6
            kept = "its last snapshot is whole" if self.path.exists() else "nothing is left of it"
            raise TrainingError(
                f"{self.path} could not be written after epoch {len(history)} ({error}); {kept}. Make room for "
                f"{size:.1f} MB, or save elsewhere; the same call then goes on from the last snapshot"
            ) from None

    def read(self) -> History:
        """Put the run where the snapshot left it.

        Errors: CheckpointError for a file that is damaged, no snapshot, or another run's, naming what differs.
        """
        tensors, note = files.read(self.path)
        if note.keys() != {"about", "history"}:
            raise CheckpointError(f"{self.path} holds weights, but no training run; give another save=")
        mine, theirs = _flat(self.about), _flat(note["about"])
        apart = [
            f"{field} is {theirs.get(field)} there and {mine.get(field)} here"
            for field in dict.fromkeys([*mine, *theirs])
            if mine.get(field) != theirs.get(field)
        ]
        if apart:
            raise CheckpointError(
                f"{self.path} is of another run: {'; '.join(apart)}. Give another save=, or resume=False to replace it"
            )
        self.model.load_state_dict(_under("model", tensors))
        if self.average is not None:
            self.average.load_state_dict(_under("average", tensors))
        for place, optimizer in enumerate(self.optimizers):
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for name, each in _under(f"optimizer.{place}", tensors).items():
                number, moment = name.split(".")
                moments.setdefault(int(number), {})[moment] = each
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
        return History(**note["history"])


def about(model: nn.Module, train: Pictures, recipe: Any, teacher: nn.Module | None = None) -> dict[str, Any]:
    """What makes a run this one and no other: the recipe, the model, the pictures, and the teacher where it has one."""
    known = [each.flatten().float() for each in teacher.state_dict().values()] if teacher else []
    shapes = {name: list(each.shape) for name, each in model.state_dict().items()}
    return {
        "recipe": asdict(recipe),
        "model": f"{type(model).__name__} {getattr(model, 'config', '')}".strip(),
        "weights": zlib.crc32(json.dumps(shapes).encode()),
        "pictures": f"{len(train)} of {'×'.join(map(str, train.images.shape[1:]))}",
        "pixels": _checksum(train.images),
        "labels": _checksum(train.labels),
        **({"teacher": _checksum(torch.cat(known))} if known else {}),
    }


def _checksum(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.detach().cpu().contiguous().numpy().data)


def _flat(about: dict[str, Any]) -> dict[str, Any]:
    """As it looks in a file, the recipe's fields beside the others."""
    told = json.loads(json.dumps(about))
    return told.pop("recipe") | told


def _prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": each for name, each in tensors.items()}


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{prefix}."): each for name, each in tensors.items() if name.startswith(f"{prefix}.")}
