"""Chapter 7: a small convolutional network that knows CIFAR-10 sooner than a ViT does, and then teaches it.

Convolutions need not learn that what is near belongs together, so a few passes are enough. Its answers, a probability
for each class, tell a ViT more about a picture than the label does, and for every changed picture anew.
Sources: Hinton et al., 2015, "Distilling the knowledge in a neural network"; Touvron et al., 2021 (DeiT); the network
is a narrow one of Jordan, 2024, "94 % on CIFAR-10 in 3.29 seconds on a single GPU".
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vitlib.data.pictures import normalise


class ConvBlock(nn.Module):
    """Two 3 × 3 convolutions, the first with a pool: [B, C, H, W] → [B, D, H/2, W/2]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        x = F.gelu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.bn2(self.conv2(x)))


class Teacher(nn.Module):
    """[B, 3, H, W] → [B, K], the logits: whitened windows of 2 × 2 pixels, a block for each width, the most of all.

    `images` are those to whiten by: the first layer is computed from them, and never trained.

    >>> teacher = Teacher(torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8), widths=(8, 16), classes=5)
    >>> teacher(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 5])
    """

    def __init__(self, images: UInt8[Tensor, "N 3 H W"], widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        filters = whitening(images, side=2)
        self.stem = nn.Conv2d(3, 2 * len(filters), 2, bias=False)
        self.stem.weight = nn.Parameter(torch.cat([filters, -filters]), requires_grad=False)
        before = (2 * len(filters), *widths)
        self.blocks = nn.Sequential(*(ConvBlock(*sizes) for sizes in zip(before, widths, strict=False)))
        self.head = nn.Linear(widths[-1], classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the faster order on a CPU

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.blocks(F.gelu(self.stem(images))).amax(dim=(2, 3)))


def whitening(images: UInt8[Tensor, "N C H W"], side: int, eps: float = 5e-4) -> Float[Tensor, "K C side side"]:
    """Filters for windows of side × side pixels that answer independently of one another, each with a variance near 1.

    They are the eigenvectors of the windows' covariance, the strongest first, each over the root of its eigenvalue.
    Pixels are normalised with 0.5 and 0.5; `eps` keeps the weakest, mostly noise, from being blown up.

    >>> whitening(torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8), side=2).shape
    torch.Size([12, 3, 2, 2])
    """
    windows = F.unfold(normalise(images[:5000], (0.5,), (0.5,)), side, stride=side)  # N Cs² L
    windows = windows.transpose(1, 2).flatten(0, 1)  # NL Cs²
    values, vectors = torch.linalg.eigh(windows.T.cov())
    filters = vectors / (values + eps).sqrt()
    return filters.T.flip(0).reshape(-1, images.shape[1], side, side).contiguous()
