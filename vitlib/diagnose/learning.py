"""Questions about training: the first loss, the gradients, and whether the model can memorise one batch."""

import copy
import math
import re
from collections import Counter
from fnmatch import fnmatch
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitlib.diagnose.case import FEW, Case
from vitlib.diagnose.report import Finding, alarm, fine, left_out

NEAR = 0.5  # nats: largest distance of the first loss from ln K
STEEP = 1e4  # largest ratio of the gradients of two blocks
STEPS = 60  # training steps with one batch


def weights(case: Case) -> Finding:
    """If the weights should be trained ones, are they?"""
    if not case.norms:
        return left_out("without a normalisation layer there is no telling trained weights from fresh ones")
    count = f"{len(case.fresh)} of {len(case.norms)} normalisation layers have their first values, scale 1 and shift 0"
    if not case.fresh:
        return fine("trained: every normalisation layer has moved")
    if not case.pretrained:
        return fine(f"{'fresh' if case.is_fresh else 'partly trained'}: {count}")
    return alarm(
        f"{count}: {', '.join(case.fresh[:3])}{'…' if len(case.fresh) > 3 else ''}",
        "trained weights",
        "they were not loaded: load_state_dict(…, strict=False) passes over names that differ, such as "
        "'module.blocks.0…'. Look at its missing_keys, or use vitlib.weights.load_into, which refuses",
    )


def first_loss(case: Case) -> Finding:
    """Is the loss near ln K for an untrained model, and not above it for a trained one?"""
    labels = case.pictures.labels
    loss = float(F.cross_entropy(case.logits, labels))
    classes = len(case.pictures.classes)
    seen = f"{loss:.2f}, beside ln {classes} = {case.ln_k:.2f}, for {len(labels)} pictures"
    if loss <= case.ln_k + NEAR and (loss >= case.ln_k - NEAR or not case.is_fresh):
        return fine(seen)
    if case.is_fresh:
        return alarm(
            seen,
            "a fresh model knows nothing, so that every class gets 1/K",
            "the head starts too loud (its weights too large, no final norm before it), or the classes are counted "
            "wrongly",
        )
    return alarm(
        seen,
        "a trained model is no worse than a guess",
        "do the labels belong to these pictures, and is the order of the classes that of training? Is everything "
        "else in this report fine?",
    )


def loss_function(case: Case) -> Finding:
    """Is the loss small for right answers, and smaller than for wrong ones?"""
    labels, classes = case.pictures.labels, len(case.pictures.classes)
    if case.criterion is F.cross_entropy:
        return left_out("torch's own cross-entropy")
    right = 5.0 * F.one_hot(labels, classes).float()  # logits of a model that is nearly sure, and right
    found = case.criterion(right, labels)
    wrong = float(case.criterion(right.roll(1, dims=1), labels).mean())
    seen = f"{float(found.mean()):.2f} for right answers, {wrong:.2f} for wrong ones"
    if float(found.mean()) < case.ln_k / 2 and wrong > case.ln_k:
        return fine(seen)
    return alarm(
        seen,
        f"well below ln K = {case.ln_k:.2f} for right answers, and above it for wrong ones",
        "check the shapes inside: (B, K) with (B, 1, K), or (B) with (B, 1), makes a table of B × B in silence, and "
        "each picture is taught the labels of all",
    )


def frozen(case: Case) -> Finding:
    """Are only those parameters frozen that should be?"""
    still = [name for name, each in case.model.named_parameters() if not each.requires_grad]
    odd = [name for name in still if not any(fnmatch(name, pattern) for pattern in case.frozen)]
    if not odd:
        return fine(f"{len(still)} parameters are frozen, as meant" if still else "every parameter may learn")
    return alarm(
        f"{len(odd)} parameters do not learn: {', '.join(odd[:3])}{'…' if len(odd) > 3 else ''}",
        "requires_grad, unless you name them as meant: frozen=('blocks.*',)",
        "call requires_grad_(True) on them, and give them to the optimizer",
    )


def gradients(case: Case) -> Finding:
    """Does every parameter that requires a gradient get one?"""
    grads = _gradients_of(case)
    if not grads:
        return left_out("no parameter requires a gradient")
    broken = [name for name, each in grads.items() if each is not None and not each.isfinite().all()]
    idle = [name for name, each in grads.items() if each is None or not each.any()]
    if broken:
        return alarm(
            f"the gradient of {broken[0]} is not finite",
            "finite gradients",
            "look for a root or a norm at 0, and for a logarithm of a probability that is 0",
        )
    if idle:
        return alarm(
            f"{len(idle)} of {len(grads)} parameters get none: {', '.join(idle[:3])}{'…' if len(idle) > 3 else ''}",
            "a gradient for each",
            "the graph from the loss to them is cut: .detach(), .item(), .data, a copy that was made once, or a part "
            "that the forward pass does not call",
        )
    return fine(f"they reach all {len(grads)} parameters")


def gradient_scale(case: Case) -> Finding:
    """Do the gradients of all blocks have a similar size?"""
    grads, means = _gradients_of(case), {}
    for block in _blocks(case.exact):
        own = [each for name, each in grads.items() if each is not None and name.startswith(f"{block}.")]
        if size := sum(float(each.square().mean()) for each in own if each.ndim > 1):
            means[block] = math.sqrt(size)
    if len(means) < 2:
        return left_out("there are no two blocks to compare")
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    ratio = means[high] / means[low]
    seen = f"{high} has {ratio:.2g} times the gradient of {low}"
    if ratio < STEEP:
        return fine(seen)
    return alarm(
        seen,
        f"less than {STEEP:.0e} between any two blocks",
        "are residuals and norms where they belong? Do the weights of all blocks start at one scale?",
    )


def one_batch(case: Case) -> Finding:
    """Can the model memorise a few pictures at the given learning rate?"""
    if case.lr is None:
        return left_out("no `lr` was given")
    model = copy.deepcopy(case.model).float().eval()  # without dropout, which makes memorising harder
    learners = [each for each in model.parameters() if each.requires_grad]
    if not learners:
        return left_out("no parameter requires a gradient")
    optimizer = torch.optim.AdamW(learners, lr=case.lr, weight_decay=0.0, fused=True)
    labels, losses, by_heart = case.pictures.labels[:FEW], [], 0.1 * case.ln_k
    with torch.enable_grad():
        for _ in range(STEPS):
            loss = F.cross_entropy(model(case.few.float()), labels)
            losses.append(loss.item())
            if losses[-1] < by_heart or not math.isfinite(losses[-1]):
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seen = f"the loss of {len(labels)} pictures goes from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} steps"
    if losses[-1] < by_heart:
        return fine(f"{seen} at learning rate {case.lr:g}")
    if not losses[-1] < 0.9 * case.ln_k and losses[0] > 0.5 * case.ln_k and min(losses) < losses[0] - 0.3:
        remedy = "it came down and went up again: the learning rate is too high; divide it by ten"
    elif not losses[-1] < losses[0] + 0.05:
        remedy = "the loss rises: the learning rate is too high; divide it by ten, or by a hundred"
    elif all(later <= before + 1e-3 for before, later in pairwise(losses)):
        remedy = "it falls evenly, and slowly: the learning rate is too low; multiply it by ten"
    else:
        remedy = "try a tenth and ten times this learning rate; if neither helps, something is wrong in the model"
    return alarm(f"{seen} at learning rate {case.lr:g}", f"below {by_heart:.2f} in {STEPS} steps", remedy)


def _blocks(model: nn.Module) -> list[str]:
    """The names of the model's blocks: of the modules in lists that have children, those of the most frequent class."""
    numbered = [
        (name, type(module))
        for name, module in model.named_modules()
        if re.search(r"\.\d+$", name) and any(True for _ in module.children())
    ]
    kinds = Counter(kind for _, kind in numbered)
    return [name for name, kind in numbered if kind is kinds.most_common(1)[0][0]]


def _gradients_of(case: Case) -> dict[str, Tensor | None]:
    """The gradient of every parameter that requires one, by name."""
    learners = {name: each for name, each in case.exact.named_parameters() if each.requires_grad}
    if not learners:
        return {}
    with torch.enable_grad():
        loss = F.cross_entropy(case.exact(case.few), case.pictures.labels[:FEW])
        if not loss.requires_grad:
            return dict.fromkeys(learners)
        grads = torch.autograd.grad(loss, [*learners.values()], allow_unused=True)
    return dict(zip(learners, grads, strict=True))
