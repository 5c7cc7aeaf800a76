"""Chapter 8: what its heads have in common: a small ViT for pictures of 20 × 20 pixels, and a loop."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from vitlib.data.pictures import normalise
from vitlib.recipes.scenes import NOTHING, SIDE
from vitlib.training.optim import optimizers, schedule
from vitlib.training.steps import steps
from vitlib.vit.config import ViTConfig

PATCH, CLASSES = 4, NOTHING + 1  # pixels; ten digits, and nothing
RARE = torch.tensor([1.0] * 10 + [0.3])  # weights of the classes in the loss: most pixels and most queries are nothing
BODY = ViTConfig((SIDE, SIDE), PATCH, in_chans=1, num_classes=0, embed_dim=64, depth=2, num_heads=4)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with small random weights and no bias to begin with."""
    layer = nn.Linear(inputs, outputs)
    nn.init.trunc_normal_(layer.weight, std=0.02, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def train(
    model: nn.Module, count: int, seed: int, loss_of: Callable[[Tensor], Tensor], size: int, progress: bool = True
) -> None:
    """`count` steps of Muon on batches of 32 out of `size`, with warm-up and decay: chapter 7's loop."""
    generator = torch.Generator().manual_seed(seed)
    batches = (torch.randint(size, (32,), generator=generator) for _ in range(count))
    optims = optimizers(model, "muon", lr=1e-2, weight_decay=0.02)
    schedules = [schedule(each, count, warmup=count // 10) for each in optims]
    walk = steps(model.train(), batches, lambda chosen: (loss_of(chosen), torch.zeros(())), optims, schedules)
    for _ in tqdm(walk, type(model).__name__, total=count, disable=not progress, delay=2, leave=False):
        pass
    model.eval()


def ready(images: Tensor) -> Tensor:
    """Bytes as the numbers −1…1 that the models learn from."""
    return normalise(images, BODY.mean, BODY.std)
