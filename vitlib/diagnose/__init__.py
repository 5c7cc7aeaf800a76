"""Chapter 9: what is wrong with this model? A practitioner's checklist that runs.

`examine` asks twenty questions about a model and a few labelled pictures: about the pictures, the logits, the parts of
the model, and its training. Each answer says what was measured, what was expected and what to do.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vitlib.data.pictures import Pictures
from vitlib.device import random_state_kept
from vitlib.diagnose.case import MOST, Case
from vitlib.diagnose.inputs import picture_size, pixel_values, test_pictures
from vitlib.diagnose.learning import first_loss, frozen, gradient_scale, gradients, loss_function, one_batch, weights
from vitlib.diagnose.outputs import logits_fit, mode, neighbours, numbers, positions, reach
from vitlib.diagnose.parts import attention_focus, attention_formula, patch_embedding, readout
from vitlib.diagnose.report import Finding, Report, alarm, left_out

__all__ = ["QUESTIONS", "Finding", "Report", "examine"]

Question = Callable[[Case], Finding]
QUESTIONS: dict[str, Question] = {  # in the order in which they are asked
    "picture size": picture_size,
    "pixels": pixel_values,
    "test pictures": test_pictures,
    "numbers": numbers,
    "logits": logits_fit,
    "mode": mode,
    "weights": weights,
    "loss": first_loss,
    "loss function": loss_function,
    "neighbours": neighbours,
    "positions": positions,
    "reach": reach,
    "patch embedding": patch_embedding,
    "attention": attention_formula,
    "attention's focus": attention_focus,
    "readout": readout,
    "frozen": frozen,
    "gradients": gradients,
    "gradients' scale": gradient_scale,
    "one batch": one_batch,
}
FIRST = ("picture size", "numbers", "logits")  # if one of these raises an alarm, the later ones are left out


@torch.inference_mode(False)
def examine(
    model: nn.Module,
    pictures: Pictures,
    *,
    prepare: Callable[[UInt8[Tensor, "B C H W"]], Float[Tensor, "B C H W"]] | None = None,
    test: Pictures | None = None,
    criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    pretrained: bool = False,
    frozen: tuple[str, ...] = (),
    lr: float | None = None,
) -> Report:
    """Look for what is wrong with `model`, and report it.

    - pictures: labelled ones of the model's classes, best 8 to 64 of several classes; only the first 64 are used.
    - prepare: your own function from bytes [B, C, H, W] to the pixels that the model reads, if you have one.
    - test: pictures that the model will be used for.
    - criterion: your loss, a function of logits and labels.
    - pretrained: whether the weights should be trained ones.
    - frozen: shell patterns of the parameters that should not learn.
    - lr: a learning rate. A copy of the model is then trained to memorise 8 pictures, which takes seconds.

    The model may be any module that maps pixels [B, C, H, W] to logits [B, K]; vitlib's own models get more questions.
    Its weights, gradients and mode, and torch's random state, stay as they are: the questions are about copies, mostly
    in double precision, so that rounding hides nothing. That takes about four times the memory of the model.

    >>> from vitlib import create
    >>> from vitlib.data.datasets import digits
    >>> report = examine(create("vit_digits_patch2_8", seed=0), digits()[0].take(slice(0, 16)))
    >>> report.healthy
    True
    >>> print(report["loss"])
    ✓ loss: 2.29, beside ln 10 = 2.30, for 16 pictures

    Errors: ValueError for fewer than two pictures, and for a learning rate that is not above 0; TypeError for a model
    that is not a torch module, and for pictures that are not vitlib.data.pictures.Pictures.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}: expected a torch.nn.Module")
    for name, each in (("pictures", pictures), ("test", test)):
        if not isinstance(each, Pictures) and each is not None:
            raise TypeError(f"{name} is a {type(each).__name__}: expected vitlib.data.pictures.Pictures")
    if pictures is None or len(pictures) < 2:
        raise ValueError(f"{0 if pictures is None else len(pictures)} pictures: expected at least 2, better 16 or more")
    if lr is not None and not lr > 0:
        raise ValueError(f"lr is {lr}: expected a learning rate above 0, such as 1e-3, or None")
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    some = pictures.take(torch.arange(min(len(pictures), MOST), device="cpu")).to(device)  # a copy
    case = Case(copy.deepcopy(model), some, prepare, test, criterion, pretrained, frozen, lr)
    findings: list[Finding] = []
    with random_state_kept(device):
        torch.manual_seed(0)
        for check, question in QUESTIONS.items():
            failed = next((each.check for each in findings if each.verdict == "alarm" and each.check in FIRST), None)
            finding = left_out(f"first mend the {failed}") if failed else _answer(question, case)
            findings.append(replace(finding, check=check))
    return Report(tuple(findings))


def _answer(question: Question, case: Case) -> Finding:
    try:
        return question(case)
    except Exception as error:  # a faulty model may raise anything: that is the finding
        words = f"it fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return alarm(words, "an answer", "run model(pixels) by itself, and read the whole message")
