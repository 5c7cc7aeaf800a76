"""Questions about a model's outputs. They treat the model as a black box."""

from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from vitlib.diagnose.case import Case, as_handed_over, same, shift
from vitlib.diagnose.report import Finding, alarm, fine, left_out
from vitlib.vit.patches import patchify, unpatchify


def numbers(case: Case) -> Finding:
    """Are all weights, and the outputs of all modules, finite?"""
    broken = [name for name, each in case.model.state_dict().items() if not each.isfinite().all()]
    if broken:
        return alarm(
            f"{len(broken)} tensors of weights hold nan or infinity, {broken[0]} first",
            "finite numbers",
            "go back to the last checkpoint; lower the learning rate, clip gradients, or leave float16 off",
        )
    first: list[str] = []

    def note(name: str) -> Callable[..., None]:
        def look(module: nn.Module, args: tuple[object, ...], output: object) -> None:
            if not first and isinstance(output, Tensor) and not output.isfinite().all():
                first.append(name)

        return look

    with ExitStack() as hooks:
        for name, each in case.model.named_modules():
            hooks.enter_context(each.register_forward_hook(note(name)))
        as_handed_over(case, case.few, training=False)
    if first:
        return alarm(
            f"{first[0] or 'the model'} gives nan or infinity",
            "finite numbers",
            "look at what this part reads: a logarithm or root of 0, a division by 0, or an exponential without its "
            "largest score subtracted",
        )
    return fine("all weights and all that is computed are finite")


def logits_fit(case: Case) -> Finding:
    """Does the model give one number for each class, and logits rather than probabilities?"""
    logits, classes = case.logits, len(case.pictures.classes)
    expected = f"({len(case.pixels)}, {classes}): for each picture one number a class"
    if tuple(logits.shape) != (len(case.pixels), classes):
        return alarm(
            f"the model answers {tuple(logits.shape)} to {len(case.pixels)} pictures of {classes} classes",
            expected,
            f"give the head {classes} outputs (num_classes={classes}), and the loss whole rows",
        )
    if classes > 1 and bool((logits >= 0).all()) and same(logits.sum(dim=1), torch.ones_like(logits[:, 0]), 1e-4):
        return alarm(
            "every row is positive and sums to 1: these are probabilities",
            "logits, which may have any size",
            "take the softmax out of the model: cross-entropy has its own",
        )
    return fine(f"{classes} for {classes} classes")


def mode(case: Case) -> Finding:
    """Are the logits the same in two passes, and the same as in evaluation mode?"""
    training = any(module.training for module in case.model.modules())
    once, again = (as_handed_over(case, case.few) for _ in range(2))
    if not training:
        if same(once, again, 1e-5):
            return fine("evaluation mode; two passes agree")
        return alarm(
            f"two passes in evaluation mode differ by {shift(again, once)} of the logits' spread",
            "one answer",
            "something is random whatever the mode: F.dropout without training=self.training, or added noise",
        )
    calm = as_handed_over(case, case.few, training=False)
    if same(once, again, 1e-5) and same(once, calm, 1e-4):
        return fine("training mode, but nothing in the model depends on it")
    if case.is_fresh and not case.pretrained:
        return fine("training mode; the model is fresh, so it is about to be trained")
    return alarm(
        f"the model is in training mode: its answers differ by {shift(once, calm)} of the logits' spread from those in "
        "evaluation mode",
        "evaluation mode for a trained model that is asked",
        "call model.eval() before you ask, and model.train() before you train on",
    )


def neighbours(case: Case) -> Finding:
    """Are a picture's logits the same alone, in a batch, and in a batch of another order?"""
    pixels = case.few
    remedy = (
        "look for a tensor whose first axis is the batch and should not be: positions of shape (B, …), a softmax or a "
        "mean over axis 0, a reshape that mixes pictures"
    )
    together = case.ask(pixels)
    try:
        alone = torch.cat([case.ask(pixels[i : i + 1]) for i in range(len(pixels))])
    except Exception as error:  # a model may raise anything for a batch of one
        return alarm(f"a batch of one is refused: {error}", "the same answers as in a batch", remedy)
    turned = case.ask(pixels.flip(0)).flip(0)
    for how, other in (("alone", alone), ("in reverse order", turned)):
        if not same(together, other, 1e-8):
            return alarm(
                f"{how}, the pictures get logits that differ by {shift(other, together)} of their spread",
                "the same answer, whatever else is in the batch",
                remedy,
            )
    return fine("the same answers alone, together, and in reverse order")


def positions(case: Case) -> Finding:
    """Do the logits change when the patches change places?"""
    grid, config = case.grid, case.config
    if grid is None or not grid.divides or grid.tokens < 2:
        return left_out("the model has no patches that could change places")
    if getattr(config, "positions", "") == "none":
        return left_out('the model was made without positions (positions="none")')
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(grid.tokens, generator=generator, device="cpu").to(case.few.device)
    if bool((order == torch.arange(grid.tokens, device=order.device)).all()):
        order = order.flip(0)
    before = case.ask(case.few)
    patch = (grid.patch_height, grid.patch_width)
    after = case.ask(unpatchify(patchify(case.few, patch)[:, order], grid, case.few.shape[1]))
    moved = f"the logits move by {shift(after, before)} of their spread when all patches change places"
    if not same(before, after, 1e-10):
        return fine(moved)
    return alarm(
        moved,
        "other logits for another picture",
        "the model sees its patches as a set: add positions to the tokens, one row for each place, before the first "
        "block",
    )


def reach(case: Case) -> Finding:
    """Do the logits depend on every pixel?"""
    pixels = case.few.clone().requires_grad_()
    with torch.enable_grad():
        logits = case.exact(pixels)
        weight = torch.linspace(1, 9, logits.numel(), dtype=logits.dtype, device=logits.device).sin().view_as(logits)
        (gradient,) = torch.autograd.grad((logits * weight).sum(), pixels, allow_unused=True)
    seen = torch.zeros_like(pixels) if gradient is None else gradient.abs()
    by_pixel = seen.amax(dim=(0, 1))  # H W: the largest over pictures and channels
    blind = by_pixel <= 1e-12 * float(by_pixel.max())
    if not bool(blind.any()):
        return fine("every pixel moves the logits")
    rows, columns = int(blind.all(dim=1).sum()), int(blind.all(dim=0).sum())
    if bool(blind.all()):
        where, remedy = "no pixel moves the logits", "what the head reads never meets a patch: look at attention, and "
        remedy += "at any .detach() on the way"
    elif rows or columns:
        where = f"{rows} rows and {columns} columns of pixels do not move the logits at all"
        remedy = "the patch does not divide the picture, and a convolution drops the rest: crop or pad on purpose"
    else:
        where = f"{int(blind.sum())} of {blind.numel()} pixels do not move the logits at all"
        remedy = "some patches never reach what the head reads: look at masks, windows and at the head's token"
    return alarm(where, "every pixel has a say, however small", remedy)
