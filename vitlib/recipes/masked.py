"""Chapter 7: a ViT learns from pictures without labels, by filling in what is hidden.

The encoder sees a share of the patches. A small decoder gets its answers, and a mask token in the place of each patch
that was hidden, and has to say which pixels were there. Afterwards the decoder is thrown away.
Source: He et al., 2022, "Masked autoencoders are scalable vision learners".
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vitlib.vit.encoder import Block
from vitlib.vit.model import ViT
from vitlib.vit.patches import patchify


class MaskedAutoencoder(nn.Module):
    """[B, C, H, W] → the loss, and the pixels of every patch [B, N, CP²] as the decoder draws them.

    >>> from vitlib.models import create
    >>> model = MaskedAutoencoder(create("vit_digits_patch2_8", device="cpu"), hidden=0.75, width=32)
    >>> loss, drawn, order = model(torch.zeros(2, 1, 8, 8))
    >>> drawn.shape, order[:, model.seen :].shape  # all 16 patches, of which 12 were hidden
    (torch.Size([2, 16, 4]), torch.Size([2, 12]))
    """

    def __init__(self, vit: ViT, hidden: float, width: int, depth: int = 1, seed: int = 0) -> None:
        super().__init__()
        grid = vit.config.grid
        self.vit = vit
        self.seen = max(1, round((1 - hidden) * grid.tokens))  # patches that the encoder sees
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.bridge = nn.Linear(vit.config.embed_dim, width)
            self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
            self.positions = nn.Parameter(0.02 * torch.randn(1, grid.tokens, width))
            self.decoder = nn.Sequential(*(Block(width, num_heads=4) for _ in range(depth)), nn.LayerNorm(width))
            self.to_pixels = nn.Linear(width, vit.patch_embed.proj.weight[0].numel())
        self.to(vit.patch_embed.proj.weight.device)

    def forward(
        self, pixels: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "B N P"], Int64[Tensor, "B N"]]:
        """The loss, on hidden patches alone; what was drawn; and the patches' numbers, those that were seen first."""
        tokens = self.vit.tokens(self.vit.patch_embed(pixels))  # B prefix+N D
        prefix, patches = tokens.split([self.vit.config.prefix, self.positions.shape[1]], dim=1)
        order = torch.rand(patches.shape[:2], device=pixels.device).argsort(dim=1)  # B N
        x = torch.cat([prefix, take(patches, order[:, : self.seen])], dim=1)
        for block in self.vit.blocks:
            x = block(x)
        answers = self.bridge(self.vit.norm(x))[:, self.vit.config.prefix :]  # B seen width
        masks = self.mask_token.expand(len(x), patches.shape[1] - self.seen, -1)
        row = take(torch.cat([answers, masks], dim=1), order.argsort(dim=1))  # back in the order of the picture
        drawn = self.to_pixels(self.decoder(row + self.positions))  # B N P
        hidden = order[:, self.seen :]
        there = patchify(pixels, self.vit.config.patch_size)
        return (take(drawn, hidden) - take(there, hidden)).square().mean(), drawn, order


def take(rows: Float[Tensor, "B N D"], places: Int64[Tensor, "B n"]) -> Float[Tensor, "B n D"]:
    """The rows at these places, others for each picture."""
    return rows.gather(1, places[:, :, None].expand(-1, -1, rows.shape[2]))
