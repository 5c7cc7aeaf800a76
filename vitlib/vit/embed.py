"""Chapter 2: a patch becomes a token, z = E x + b.

One linear map serves every patch: E has shape [D, P²·C], for D numbers in a token and P²·C in a flattened patch.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitlib.vit.patches import patchify


class PatchEmbed(nn.Module):
    """Cut, flatten, multiply: [B, C, H, W] → [B, N, D].

    E is kept in the shape of a convolution's weight, [D, C, ph, pw], because a convolution whose stride is its
    kernel's size sees each patch exactly once: the two are the same map, and checkpoints keep that shape.
    `forward` convolves, which measures faster; `patch_by_patch` is the formula. A test holds them together.

    >>> import torch
    >>> embed = PatchEmbed(in_chans=3, patch_size=16, embed_dim=192)
    >>> embed(torch.zeros(2, 3, 64, 96)).shape
    torch.Size([2, 24, 192])

    Errors: those of patchify. Source: Dosovitskiy et al., 2021, equation 1.
    """

    def __init__(self, in_chans: int, patch_size: int | tuple[int, int], embed_dim: int) -> None:
        super().__init__()
        self.patch = patch_size
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        rows, columns = self.proj.stride
        if images.shape[2] % rows or images.shape[3] % columns:  # a convolution would drop these pixels in silence
            return self.patch_by_patch(images)
        return self.proj(images).flatten(2).transpose(1, 2)  # B D rows columns → B D N → B N D

    def patch_by_patch(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        """z = E x + b, patch by patch: the same tokens as `forward`."""
        patches = patchify(images, self.patch)  # B N P²C
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)
