"""Chapter 8: a caption for each picture: a tower for pictures and one for words (CLIP: Radford et al., 2021)."""

from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitlib.data.datasets import digits
from vitlib.recipes.body import PATCH, ready, train
from vitlib.vit.config import ViTConfig
from vitlib.vit.encoder import Block
from vitlib.vit.model import ViT

PAIRS = torch.tensor(list(product(range(10), range(10))))  # 100 captions: the digit on the left, the one on the right
NEW = torch.tensor([(left * 3 + right) % 5 == 0 for left, right in PAIRS.tolist()])  # 20 that training leaves out


class TwoTowers(nn.Module):
    """A ViT and a Transformer for words, which put a picture and its caption into the same direction of one space."""

    def __init__(self, seed: int = 0, width: int = 48) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.vision = ViT(ViTConfig((8, 16), PATCH, 1, width, embed_dim=width, depth=2, num_heads=4), generator)
        self.words = nn.Parameter(torch.randn(10, width, generator=generator))
        self.places = nn.Parameter(torch.randn(2, width, generator=generator))
        self.text = nn.Sequential(Block(width, 4), nn.LayerNorm(width))
        for layer in self.text.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.1, generator=generator)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: Float[Tensor, "A 1 8 16"], captions: Int64[Tensor, "B 2"]) -> Float[Tensor, "A B"]:
        """How well each picture goes with each caption: the scaled cosine of their vectors."""
        seen = F.normalize(self.vision(images), dim=1)  # A D
        read = F.normalize(self.text(self.words[captions] + self.places).mean(dim=1), dim=1)  # B D
        return self.scale.exp() * seen @ read.T


class Pairs:
    """Pictures of two digits beside each other, of training digits or of test digits."""

    def __init__(self, seed: int, test: bool = False) -> None:
        self.pool, self.generator = digits()[test], torch.Generator().manual_seed(seed)
        self.of = [(self.pool.labels == digit).nonzero()[:, 0] for digit in range(10)]

    def __call__(self, captions: Int64[Tensor, "B 2"]) -> Float[Tensor, "B 1 8 16"]:
        """A picture for each caption."""
        drawn = torch.randint(2**30, captions.shape, generator=self.generator)
        each = [
            [self.of[digit][draw % len(self.of[digit])] for digit, draw in zip(*row, strict=True)]
            for row in zip(captions.tolist(), drawn.tolist(), strict=True)
        ]
        left, right = torch.tensor(each).T
        return ready(torch.cat([self.pool.images[left], self.pool.images[right]], dim=3))


def train_towers(seed: int = 0, updates: int = 500, progress: bool = True) -> TwoTowers:
    """Two towers, trained with CLIP's loss: a picture picks its caption among all, a caption its picture."""
    model, pictures, known = TwoTowers(seed), Pairs(seed), PAIRS[~NEW]

    def loss_of(_: Tensor) -> Tensor:
        scores = model(pictures(known), known)  # 80 80: the right ones on the diagonal
        answers = torch.arange(len(known))
        return (F.cross_entropy(scores, answers) + F.cross_entropy(scores.T, answers)) / 2

    train(model, updates, seed, loss_of, len(known), progress)
    return model


@torch.no_grad()
def matched(model: TwoTowers, rounds: int = 5) -> dict[str, float]:
    """Of pictures of test digits, the share that picks its own caption among all 100: known captions, and new ones."""
    pictures = Pairs(seed=1, test=True)
    right = torch.stack([model(pictures(PAIRS), PAIRS).argmax(dim=1) == torch.arange(100) for _ in range(rounds)])
    return {"known": right[:, ~NEW].double().mean().item(), "new": right[:, NEW].double().mean().item()}
