"""Questions about a model's inputs: sizes, pixel values, and whether training and test pictures are alike."""

import torch
from torch import Tensor

from vitlib.data.pictures import Pictures, normalisation
from vitlib.diagnose.case import Case
from vitlib.diagnose.report import Finding, alarm, fine, left_out

WIDE = 0.8  # Cohen's d of two groups of pictures from which a difference is called large (Cohen, 1988)


def picture_size(case: Case) -> Finding:
    """Do the pictures have the size and number of channels that the model expects?"""
    shape = tuple(case.pictures.images.shape[1:])
    config = case.config
    if config is None:
        return left_out("the model does not say what size it was made for")
    expected = (config.in_chans, *config.image_size)
    words = "×".join(map(str, shape))
    if shape == expected:
        return fine(f"{words}, as the model has it: patches of {config.patch_size} fill the grid")
    return alarm(
        f"the pictures are {words}",
        f"{'×'.join(map(str, expected))} (channels, height, width), for which the model was made",
        f"resize the pictures, or take model.resized({shape[1:]}), which brings the positions along",
    )


def pixel_values(case: Case) -> Finding:
    """Are the pixels normalised as the model's configuration says?"""
    if case.prepare is None:
        return left_out("no `prepare` was given; the pictures were normalised as the model's configuration says")
    given = case.prepare(case.pictures.images)
    mean, std = (torch.tensor(each).expand(given.shape[1]) for each in normalisation(case.model))
    bytes_mean, bytes_std = (torch.tensor(each) for each in case.pictures.statistics())
    wanted = (bytes_mean - mean) / std, bytes_std / std
    seen = f"the pixels have mean {_row(_mean(given))} and deviation {_row(_deviation(given))}"
    expected = f"mean {_row(wanted[0])} and deviation {_row(wanted[1])}"
    if not given.isfinite().all():
        return alarm("some pixels are not finite", expected, "look for a division by a deviation of 0")
    if _close(given, *wanted):
        return fine(f"{seen}, as expected")
    guesses = {
        "they are bytes, 0…255: divide by 255, then subtract the mean and divide by the deviation": (
            255 * bytes_mean,
            255 * bytes_std,
        ),
        "they are 0…1: subtract the mean and divide by the deviation": (bytes_mean, bytes_std),
        "they were normalised twice: do it once": ((wanted[0] - mean) / std, wanted[1] / std),
        "the bytes were not divided by 255 before the mean was subtracted": (
            (255 * bytes_mean - mean) / std,
            255 * bytes_std / std,
        ),
        "red and blue have changed places (BGR): turn the channels round": (
            (bytes_mean.flip(0) - mean) / std,
            bytes_std.flip(0) / std,
        ),
        "they have ImageNet's mean and deviation, and the model has others": _imagenet(bytes_mean, bytes_std),
    }
    remedy = next((words for words, values in guesses.items() if _close(given, *values)), "normalise with the model's")
    return alarm(seen, f"{expected}, with the model's mean {_row(mean)} and std {_row(std)}", remedy)


def test_pictures(case: Case) -> Finding:
    """Do test pictures look like training pictures, with the same size and classes?"""
    if case.test is None:
        return left_out("no `test` pictures were given")
    sizes = [tuple(each.images.shape[1:]) for each in (case.pictures, case.test)]
    if sizes[0] != sizes[1]:
        return alarm(f"they are {sizes[1]}, the training pictures {sizes[0]}", "one size", "bring both to one size")
    if case.test.classes != case.pictures.classes:
        return alarm(
            f"their classes are {', '.join(case.test.classes[:4])}…",
            f"those of training, in the same order: {', '.join(case.pictures.classes[:4])}…",
            "make one list of classes, and use it for both",
        )
    ours, theirs = _looks(case.pictures), _looks(case.test)
    apart = {name: _effect(ours[name], theirs[name]) for name in ours}
    worst = max(apart, key=lambda name: abs(apart[name]))
    seen = f"{worst} differs most, by {apart[worst]:+.1f} standard deviations of the training pictures"
    if abs(apart[worst]) < WIDE:
        return fine(seen)
    remedies = {
        "brightness": "compare how both were taken and decoded; is one of them inverted?",
        "contrast": "compare how both were taken and decoded; is one of them compressed or rescaled?",
        "sharpness": "compare resolutions: was one of them enlarged from a smaller size, or resized another way?",
    }
    return alarm(seen, f"less than {WIDE} for brightness, contrast and sharpness", remedies[worst])


def _looks(pictures: Pictures) -> dict[str, Tensor]:
    """Brightness, contrast and sharpness of each picture."""
    x = pictures.images.float() / 255  # B C H W
    across, down = x.diff(dim=3).abs().mean(dim=(1, 2, 3)), x.diff(dim=2).abs().mean(dim=(1, 2, 3))
    contrast = x.flatten(1).std(dim=1)
    return {
        "brightness": x.mean(dim=(1, 2, 3)),
        "contrast": contrast,
        "sharpness": (across + down) / contrast.clamp(min=1e-3),  # differences of neighbours, relative to contrast
    }


def _effect(ours: Tensor, theirs: Tensor) -> float:
    """Cohen's d: the difference of two means in standard deviations."""
    spread = ((ours.var() + theirs.var()) / 2).sqrt() if min(len(ours), len(theirs)) > 1 else torch.tensor(torch.inf)
    return float((theirs.mean() - ours.mean()) / spread.clamp(min=1e-6))


def _close(given: Tensor, mean: Tensor, std: Tensor) -> bool:
    """Whether the pixels have about this mean and standard deviation; cropping, for example, changes both a little."""
    mean, std = mean.expand(given.shape[1]), std.expand(given.shape[1])
    near = (_mean(given) - mean).abs() <= 0.2 * std + 1e-6
    return bool(near.all() and ((_deviation(given) - std).abs() <= 0.2 * std + 1e-6).all())


def _mean(pixels: Tensor) -> Tensor:
    return pixels.float().mean(dim=(0, 2, 3)).cpu()


def _deviation(pixels: Tensor) -> Tensor:
    return pixels.float().transpose(0, 1).flatten(1).std(dim=1).cpu()


def _imagenet(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    shift, scale = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (mean - shift[: len(mean)]) / scale[: len(mean)], std / scale[: len(mean)]


def _row(values: Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in values.tolist())
