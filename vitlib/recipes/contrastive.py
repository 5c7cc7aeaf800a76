"""Chapter 7: a ViT learns from pictures without labels, by telling which two views show the same picture.

Each picture of a batch is changed twice, at random: these are its views. Both should get vectors that point the same
way, and views of other pictures vectors that point elsewhere. Afterwards the small network behind the encoder, which
makes the vectors, is thrown away.
Source: Chen et al., 2020, "A simple framework for contrastive learning of visual representations" (SimCLR).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.model import ViT


class Contrastive(nn.Module):
    """Two views of each picture, [B, C, H, W] each → the loss of finding a view's partner among all the others.

    >>> from vitlib.models import create
    >>> model = Contrastive(create("vit_digits_patch2_8", device="cpu"))
    >>> model(torch.zeros(4, 1, 8, 8), torch.zeros(4, 1, 8, 8)).exp().round()  # all views alike: one of 7 others
    tensor(7., grad_fn=<RoundBackward0>)
    """

    def __init__(self, vit: ViT, width: int = 32, temperature: float = 0.2, seed: int = 0) -> None:
        super().__init__()
        self.vit, self.temperature = vit, temperature
        features = vit.config.embed_dim
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.project = nn.Sequential(nn.Linear(features, features), nn.GELU(), nn.Linear(features, width))
        self.to(vit.patch_embed.proj.weight.device)

    def forward(self, one: Float[Tensor, "B C H W"], other: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
        """Cross-entropy: each of the 2B views picks its partner among the 2B − 1 others."""
        seen = self.vit.forward_features(torch.cat([one, other]))  # 2B T D
        vectors = F.normalize(self.project(self.vit.forward_head(seen, pre_logits=True)), dim=1)  # 2B width
        scores = vectors @ vectors.T / self.temperature  # 2B 2B: cosines
        scores = scores.masked_fill(torch.eye(len(scores), dtype=torch.bool, device=scores.device), -torch.inf)
        partners = torch.arange(len(scores), device=scores.device).roll(len(one))
        return F.cross_entropy(scores, partners)
