"""A training script in seven parts, from the digits on the disk to an accuracy. Chapter 9's hunts hide faults in it.

The docstring of each part says what it promises. Here all promises are kept; in a hunt (hunts.py) one to three are not.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures
from vitlib.diagnose.patients import body, grey
from vitlib.vit.wrappers import in_mode


class Script:
    """The sound script. `run` in chapter 9 puts its parts together."""

    def split(self) -> tuple[Pictures, Pictures]:
        """Training and test digits: no digit is in both, and every label is right."""
        return digits()

    def prepare(self, images: UInt8[Tensor, "B 1 8 8"], training: bool) -> Float[Tensor, "B 1 8 8"]:
        """Bytes 0…255 as numbers −1…1, in the same way in training and evaluation."""
        return grey(images)

    def build(self, seed: int = 0) -> nn.Module:
        """An untrained ViT with dropout, from pixels to logits, whose logits depend on the places of the patches."""
        return body(seed, dropout=0.2)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW for all parameters of the model."""
        return torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)

    def batches(
        self, pictures: Pictures, seed: int = 0
    ) -> Iterator[tuple[Float[Tensor, "64 1 8 8"], Int64[Tensor, "64"]]]:
        """Batches of 64 prepared pictures and their labels, in another order for each seed."""
        order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
        for chosen in order.split(64)[: len(pictures) // 64]:
            yield self.prepare(pictures.images[chosen], training=True), pictures.labels[chosen]

    def step(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        pixels: Float[Tensor, "B 1 8 8"],
        labels: Int64[Tensor, "B"],
    ) -> float:
        """One training step along the gradient of this batch alone. Returns the loss of the batch."""
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(pixels), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self, model: nn.Module, pictures: Pictures) -> float:
        """The accuracy on these pictures, 0…1, without dropout."""
        with in_mode(model, training=False):
            answers = model(self.prepare(pictures.images, training=False)).argmax(dim=1)
        return (answers == pictures.labels).float().mean().item()
