"""Labelled pictures in memory. They are stored as bytes, which take a quarter of the memory of floats."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from vitlib.vit.checks import require_images, shortened
from vitlib.vit.config import ViTConfig
from vitlib.vit.wrappers import unwrapped


@dataclass(frozen=True, eq=False)
class Pictures:
    """N pictures of one size, with a class each. `len` counts them, and torch's DataLoader takes them as a dataset.

    >>> images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    >>> some = Pictures(images, labels=torch.tensor([0, 1, 1, 0, 1, 1]), classes=("cat", "dog"))
    >>> len(some), some.take(torch.tensor([1, 3])).labels.tolist()
    (6, [1, 0])

    Errors: TypeError for labels that are not a tensor, or classes that are not strings; ValueError for images that are
    not uint8 of shape (N, C, H, W), for another number of labels, for labels that are not int64, for two classes of the
    same name, and for a label out of range (the message names the first picture that has it).
    """

    images: UInt8[Tensor, "N C H W"]  # 0…255
    labels: Int64[Tensor, "N"]  # index into classes
    classes: tuple[str, ...]  # names, in the order of the model's logits

    def __post_init__(self) -> None:
        require_images(self.images)
        classes: object = self.classes
        if not isinstance(classes, (tuple, list)) or not all(isinstance(name, str) for name in classes):
            raise TypeError(f'classes are {classes!r}: expected words, such as ("cat", "dog")')
        object.__setattr__(self, "classes", tuple(classes))
        if self.images.dtype != torch.uint8:
            raise ValueError(f"images are {self.images.dtype}: expected torch.uint8, 0…255; see vitlib.data.samples")
        if twice := [name for name in dict.fromkeys(self.classes) if self.classes.count(name) > 1]:
            raise ValueError(f"classes name {twice[0]!r} twice: expected a name of its own for each class")
        if not isinstance(self.labels, Tensor):
            raise TypeError(f"labels are a {type(self.labels).__name__}: expected a torch.Tensor of whole numbers")
        if self.labels.shape != self.images.shape[:1]:
            count = len(self.images)
            raise ValueError(f"labels have shape {tuple(self.labels.shape)}: expected ({count},), one a picture")
        if self.labels.dtype != torch.int64:
            raise ValueError(f"labels are {self.labels.dtype}: expected torch.int64; call labels.long()")
        wrong = (self.labels < 0) | (self.labels >= len(self.classes))
        if wrong.any():
            first = int(wrong.nonzero()[0])
            raise ValueError(
                f"label {int(self.labels[first])} of picture {first} is out of range: there are {len(self.classes)} "
                f"classes, 0…{len(self.classes) - 1}; {int(wrong.sum())} of {len(self)} labels are wrong"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "C H W"], Int64[Tensor, ""]]:
        """One picture and its label. Errors: IndexError."""
        return self.images[index], self.labels[index]

    def to(self, device: torch.device | str) -> "Pictures":
        """The same pictures on another device."""
        return Pictures(self.images.to(device), self.labels.to(device), self.classes)

    def take(self, indices: Int64[Tensor, "n"] | slice) -> "Pictures":
        """The pictures at these places, in this order."""
        return Pictures(self.images[indices], self.labels[indices], self.classes)

    def aligned(self, classes: tuple[str, ...]) -> "Pictures":
        """The same pictures, with labels that are indices into another list, `classes`. Classes are matched by name.

        >>> images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        >>> some = Pictures(images, labels=torch.tensor([0, 1]), classes=("bear", "cat"))
        >>> some.aligned(("ant", "bear", "cat")).labels.tolist()
        [1, 2]

        Errors: ValueError for pictures of a class that is not in `classes`.
        """
        if self.classes == classes:
            return self
        here = self.labels.bincount(minlength=len(self.classes)).tolist()
        unknown = [name for name, count in zip(self.classes, here, strict=True) if count and name not in classes]
        if unknown:
            raise ValueError(
                f"there are pictures of {shortened(unknown, 10)}, and the classes are {shortened(classes, 10)}: rename "
                "the classes of one of them, or leave these pictures out"
            )
        places = [classes.index(name) if name in classes else -1 for name in self.classes]
        return Pictures(self.images, torch.tensor(places, device=self.labels.device)[self.labels], classes)

    def split(self, every: int, seed: int = 0) -> tuple["Pictures", "Pictures"]:
        """Training pictures, and test pictures: of each class, one in `every`. The same seed gives the same split.

        >>> labels = torch.tensor([0] * 8 + [1] * 4)
        >>> pictures = Pictures(torch.zeros(12, 1, 2, 2, dtype=torch.uint8), labels, ("cat", "dog"))
        >>> [half.labels.bincount().tolist() for half in pictures.split(every=4)]
        [[6, 3], [2, 1]]

        Errors: ValueError where `every` is below 2, or more than there are pictures.
        """
        rest, part = self.split_places(every, seed)
        return self.take(rest), self.take(part)

    def split_places(self, every: int, seed: int = 0) -> tuple[Int64[Tensor, "n"], Int64[Tensor, "m"]]:
        """The indices of the two parts of `split`: to split a list of the pictures' files in the same way."""
        if not 2 <= every <= len(self):
            raise ValueError(f"every is {every}: expected 2…{len(self)} (all pictures); 5 keeps a fifth to test")
        generator = torch.Generator().manual_seed(seed)
        shuffled = torch.randperm(len(self), generator=generator, device="cpu").to(self.labels.device)
        by_class = shuffled[self.labels[shuffled].argsort(stable=True)]
        tested = torch.zeros_like(self.labels, dtype=torch.bool)
        tested[by_class[::every]] = True
        return shuffled[~tested[shuffled]], shuffled[tested[shuffled]]

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of the pixels (0…1), for each channel: ViTConfig's `mean` and `std`.

        Computed with integers, so that they are the same on every machine.

        >>> images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> Pictures(images, labels=torch.tensor([0, 0]), classes=("dot",)).statistics()
        ((0.5,), (0.5,))
        """
        mean, std = [], []
        values = torch.arange(256, device="cpu")
        for channel in self.images.unbind(dim=1):
            counts = channel.flatten().bincount(minlength=256).cpu()
            pixels = channel.numel()
            average = int((counts * values).sum()) / pixels
            mean.append(average / 255)
            std.append((int((counts * values**2).sum()) / pixels - average**2) ** 0.5 / 255)
        return tuple(mean), tuple(std)


def normalise(
    images: UInt8[Tensor, "B C H W"],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "B C H W"]:
    """(x / 255 − mean) / std: from bytes to the numbers that a model reads. `mean` and `std` have one value for all
    channels, or one for each.

    >>> normalise(torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2), mean=(0.5,), std=(0.5,)).tolist()
    [[[[-1.0, 1.0]]]]
    """
    shift, scale = (torch.tensor(values, device=images.device).reshape(-1, 1, 1) for values in (mean, std))
    return images.float().div(255).sub(shift).div(scale).to(dtype)


def normalisation(model: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels that a model was made for; 0.5 if its configuration has none."""
    config, usual = getattr(unwrapped(model), "config", None), ViTConfig()
    return getattr(config, "mean", usual.mean), getattr(config, "std", usual.std)
