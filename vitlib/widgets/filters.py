"""Filters to embed patches with: those of PCA, which keep as much of a photo as d numbers can, and random ones."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from vitlib.data.samples import picture
from vitlib.vit.fit_to_patch import fit_to_patch
from vitlib.vit.patches import patchify

ALBUM = ("astronaut", "chelsea", "china", "coffee", "flower")  # photos of everyday things, for PCA


@cache
def orthonormal_filters(kind: str, patch: int) -> tuple[Float[Tensor, "L"], Float[Tensor, "L L"]]:
    """The album's mean patch, and L = P²·3 filters as rows, of length 1 and at right angles to each other.

    kind: "PCA" (the strongest first) or "random" (the same ones in every run); patch: P, in pixels. A token of d
    numbers takes the first d filters E, as z = E (x − mean), and Eᵀ z + mean is the patch that it stands for.

    >>> mean, filters = orthonormal_filters("PCA", patch=4)
    >>> mean.shape, filters.shape
    (torch.Size([48]), torch.Size([48, 48]))

    Errors: ValueError for another kind. Source: Pearson, 1901, "On lines and planes of closest fit".
    """
    patches = album_patches(patch)
    mean = patches.mean(dim=0)
    if kind == "PCA":
        directions = torch.linalg.eigh((patches - mean).T.cov())[1].flip(1)  # columns, the strongest first
    elif kind == "random":
        generator = torch.Generator().manual_seed(0)
        directions = torch.linalg.qr(torch.randn(len(mean), len(mean), generator=generator))[0]
    else:
        raise ValueError(f"filters are {kind!r}: expected 'PCA' or 'random'")
    strongest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    return mean, (directions * strongest.sign()).T.contiguous()  # a direction has no sign of its own: choose one


@cache
def album_patches(patch: int) -> Float[Tensor, "M L"]:
    """All whole patches of the album, numbers from 0 to 1."""
    photos = [fit_to_patch(picture(name)[None], patch, "crop") for name in ALBUM]
    return torch.cat([patchify(photo, patch)[0] for photo in photos]).float() / 255
