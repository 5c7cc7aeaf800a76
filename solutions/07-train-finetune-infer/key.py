"""Chapter 7's key: every exercise with its answer, the misconceptions that learners have, and the words that help."""

import math
import random

import torch
import torch.nn.functional as F

from autograde.exercises import Choice, Code, Misconception, Numeric, TrueFalse


def dice_of(dice: random.Random) -> torch.Generator:
    """torch's dice, thrown as the exercise's own say."""
    return torch.Generator().manual_seed(dice.randrange(2**31))


# ── 7.3 · The loop ─────────────────────────────────────────────────────────────────────────────────────────────────


def train_head(
    features: torch.Tensor, labels: torch.Tensor, classes: int, steps: int, rate: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [K, D] and bias [K] of a linear head, trained on all B pictures at once; both begin at zero.

    features: [B, D], what a model makes of each picture; labels: [B], the number of each picture's class; classes: K.
    A step moves weight and bias by `rate` times their gradient of the mean cross-entropy, downhill.

    >>> weight, bias = train_head(torch.eye(2), torch.tensor([0, 1]), classes=2, steps=1, rate=1.0)
    >>> weight
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]])
    """
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)  # K D
    bias = torch.zeros(classes, requires_grad=True)  # K
    for _ in range(steps):
        logits = features @ weight.T + bias  # B K
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        with torch.no_grad():
            weight -= rate * weight.grad
            bias -= rate * bias.grad
        weight.grad = bias.grad = None
    return weight.detach(), bias.detach()


def lesson(dice: random.Random, classes: int = 4, steps: int = 6, rate: float = 0.7) -> tuple:
    """Arguments of `train_head`: other numbers of pictures, features and classes, none of them alike."""
    dots = dice_of(dice)
    number, width = dice.randrange(9, 14), 5
    features = torch.randn(number, width, generator=dots) + 0.3
    labels = torch.cat([torch.tensor([0, 0, 0]), torch.randint(classes, (number - 3,), generator=dots)])
    return features, labels, classes, steps, rate


loop = Code(
    "train-head", title="Your own training loop", points=5, difficulty=2, minutes=12,
    prompt="Write the loop of this section for the smallest model: one linear layer. The pictures come as features "
    "already, each step uses all of them, and there is no optimizer: you move the weights yourself. Let torch find the "
    "gradients, or write them down (chapter 5 has the formula).",
    reference=train_head,
    examples=[
        (torch.eye(2), torch.tensor([0, 1]), 2, 1, 1.0),
        (torch.eye(2), torch.tensor([0, 1]), 2, 0, 1.0),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]]), torch.tensor([0, 2, 0]), 3, 2, 0.5),
        (torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 1.0]]), torch.tensor([0, 1]), 3, 5, 0.5),
    ],
    checks={
        "several steps": lambda dice: [lesson(dice), lesson(dice, classes=3, steps=9)],
        "one step": lambda dice: [lesson(dice, steps=1)],
        "no step": lambda dice: [lesson(dice, steps=0)],
        "a class that no picture has": lambda dice: [(*lesson(dice, classes=3)[:2], 5, 4, 0.5)],
        "many steps": lambda dice: [lesson(dice, steps=60, rate=0.2)],
    },
    hints=[
        "Make `weight` and `bias` of zeros with `requires_grad=True`. Then, `steps` times: logits, loss, "
        "`loss.backward()`, and move both.",
        "Move them inside `with torch.no_grad():`, by `weight -= rate * weight.grad`. `backward` *adds* to `.grad`: "
        "set it to None after each step. (Keep the `-=`: `weight = weight - …` makes a new tensor, which gets no "
        "gradient.)",
        "By hand: with p = softmax(logits) and the labels as one-hot rows, the gradient of the weight is "
        "(p − one_hot)ᵀ · features / B.",
        "The examples pass but grading finds a mistake? Work out two steps on paper: does the second step use its own "
        "gradient alone? Is it the mean over the pictures?",
    ],
    why="Logits, loss, gradients, a step, and gradients set to zero: every training loop is these five lines.",
)


@loop.alternative
def _(features, labels, classes, steps, rate):
    weight, bias = torch.zeros(classes, features.shape[1]), torch.zeros(classes)
    targets = F.one_hot(labels, classes).to(features.dtype)
    for _ in range(steps):
        off = ((features @ weight.T + bias).softmax(dim=1) - targets) / len(features)  # B K
        weight, bias = weight - rate * off.T @ features, bias - rate * off.sum(dim=0)
    return weight, bias


@loop.alternative
def _(features, labels, classes, steps, rate):
    head = torch.nn.Linear(features.shape[1], classes)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    mover = torch.optim.SGD(head.parameters(), lr=rate)
    for _ in range(steps):
        mover.zero_grad()
        F.cross_entropy(head(features), labels).backward()
        mover.step()
    return head.weight, head.bias


def descend(features, labels, classes, steps, rate, off=None, share=None, start=0.0, bias_moves=True):
    """Gradient descent with a fault: in `off` (what each logit should change by) or in `share` (of the mean)."""
    weight = torch.full((classes, features.shape[1]), start)
    bias = torch.full((classes,), start)
    targets = F.one_hot(labels, classes).to(features.dtype)
    for step in range(steps):
        logits = features @ weight.T + bias
        error = logits.softmax(dim=1) - targets if off is None else off(logits, targets)
        error = error / len(features) if share is None else error * share(len(features), classes, step)
        weight = weight - rate * error.T @ features
        bias = bias - rate * error.sum(dim=0) * bias_moves
    return weight, bias


@loop.misconception("gradients never forgotten",
    "From the second step on you move too far: `backward()` adds to `.grad`. Set "
    "it to None after each step.")
def _(features, labels, classes, steps, rate):
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    for _ in range(steps):
        F.cross_entropy(features @ weight.T + bias, labels).backward()
        with torch.no_grad():
            weight -= rate * weight.grad
            bias -= rate * bias.grad
    return weight.detach(), bias.detach()


@loop.misconception("two features for ever",
    "Your weight has room for two features only. How many there are, D, the features say: `features.shape[1]`.")
def _(features, labels, classes, steps, rate):
    return descend(features @ torch.eye(2), labels, classes, steps, rate)  # a RuntimeError for any other number


@loop.misconception("uphill", "You move uphill: the gradient points to where the loss grows. Subtract it.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, -rate)


@loop.misconception("sum over pictures",
    "You summed the loss over the pictures. Cross-entropy is their *mean*: with a sum, twice the pictures would "
    "make the step twice as long.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, rate, share=lambda number, classes, step: 1)


@loop.misconception("mean over classes too",
    "You averaged over the classes as well. Take the mean over the pictures only.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, rate, share=lambda number, classes, step: 1 / number / classes)


@loop.misconception("bias stands still", "The bias has not moved. It has a gradient as well.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, rate, bias_moves=False)


@loop.misconception("the same gradient in each step",
    "You computed the gradient once and used it in every step. After a step the "
    "logits change: compute it again.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, 1, rate * steps) if steps else descend(
        features, labels, classes, 0, rate
    )


@loop.misconception("one step alone", "That is the result after one step. The loop takes `steps` of them.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, 1, rate)


@loop.misconception("one step too many", "You take one step more than `steps`. With steps=0 nothing moves.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps + 1, rate)


@loop.misconception("one step too few",
    "You take one step less than `steps`. `range(steps)` has as many turns as `steps` says, the first one included.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps - 1, rate)


@loop.misconception("clipped",
    "You clipped the gradient to a length of 1. This loop has no clipping: a step moves by `rate` times the gradient, "
    "however long it is.")
def _(features, labels, classes, steps, rate):
    weight, bias = torch.zeros(classes, features.shape[1]), torch.zeros(classes)
    for _ in range(steps):
        error = ((features @ weight.T + bias).softmax(dim=1) - F.one_hot(labels, classes)) / len(features)
        gradient = torch.cat([error.T @ features, error.sum(dim=0)[:, None]], dim=1)  # K D+1
        gradient = gradient / gradient.norm().clamp(min=1)
        weight, bias = weight - rate * gradient[:, :-1], bias - rate * gradient[:, -1]
    return weight, bias


@loop.misconception("squared error of the probabilities",
    "Your gradient is that of (p − target)², not of the cross-entropy, "
    "whose gradient for the logits is p − target.")
def _(features, labels, classes, steps, rate):
    def off(logits, targets):
        p = logits.softmax(dim=1)
        error = 2 * (p - targets) * p
        return error - p * error.sum(dim=1, keepdim=True)

    return descend(features, labels, classes, steps, rate, off=off)


@loop.misconception("logits without softmax",
    "Your error is logits − targets: that is least squares. Put the logits through a "
    "softmax, or pass them to `F.cross_entropy`.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, rate, off=lambda logits, targets: logits - targets)


@loop.misconception("softmax twice",
    "You gave probabilities to `F.cross_entropy`. It wants logits, and does the softmax "
    "itself.")
def _(features, labels, classes, steps, rate):
    def off(logits, targets):
        p = logits.softmax(dim=1)
        error = p.softmax(dim=1) - targets
        return p * (error - (p * error).sum(dim=1, keepdim=True))

    return descend(features, labels, classes, steps, rate, off=off)


@loop.misconception("rate forgotten", "You move by the whole gradient. `rate` says which share of it.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, 1.0)


@loop.misconception("begins at one", "Weight and bias begin at one here. Begin at zero, as the docstring says.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, rate, start=1.0)


@loop.misconception("softmax over the pictures",
    "Your softmax runs down the pictures. The probabilities of one picture sum to 1: dim=1.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, classes, steps, rate, off=lambda logits, targets: logits.softmax(0) - targets)


@loop.misconception("bias not averaged",
    "Your weight is right after the first step, and your bias has moved too far: its gradient is a mean over the "
    "pictures, too.")
def _(features, labels, classes, steps, rate):
    weight, bias = torch.zeros(classes, features.shape[1]), torch.zeros(classes)
    for _ in range(steps):
        error = (features @ weight.T + bias).softmax(dim=1) - F.one_hot(labels, classes)
        weight = weight - rate * error.T @ features / len(features)
        bias = bias - rate * error.sum(dim=0)
    return weight, bias


@loop.misconception("a step for each picture",
    "You take a step for each picture. Here a step uses all of them: one step moves by the mean of their gradients.")
def _(features, labels, classes, steps, rate):
    weight, bias = torch.zeros(classes, features.shape[1]), torch.zeros(classes)
    for _ in range(steps):
        for picture, target in zip(features, F.one_hot(labels, classes), strict=True):
            error = (weight @ picture + bias).softmax(dim=0) - target
            weight, bias = weight - rate * error[:, None] * picture, bias - rate * error
    return weight, bias


@loop.misconception("set to zero too early",
    "Nothing has moved. You set the gradients to zero before you moved by them: first the step, then zero.")
def _(features, labels, classes, steps, rate):
    return torch.zeros(classes, features.shape[1]), torch.zeros(classes)


@loop.misconception("the weight alone", "You return the weight alone. Return both, the weight and the bias.")
def _(features, labels, classes, steps, rate):
    return train_head(features, labels, classes, steps, rate)[0]


@loop.misconception("moved under autograd's eyes",
    "torch stops in the first step; its text is above. If it speaks of a leaf, autograd was watching while you moved "
    "the weights: move them inside `with torch.no_grad():`.")
def _(features, labels, classes, steps, rate):
    if steps:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    return train_head(features, labels, classes, steps, rate)


@loop.misconception("a new tensor without gradients",
    "torch stops in the second step: `weight = weight - …` inside `no_grad` makes a new tensor, which asks for no "
    "gradient. Write `weight -= …`, which changes the old one.")
def _(features, labels, classes, steps, rate):
    if steps > 1:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    return train_head(features, labels, classes, steps, rate)


@loop.misconception("weight turned round",
    "Your weight is [D, K]. As in `nn.Linear` it is [K, D]: a row for each class.")
def _(features, labels, classes, steps, rate):
    weight, bias = descend(features, labels, classes, steps, rate)
    return weight.T, bias


@loop.misconception("bias, then weight", "Right numbers in the wrong order: return the weight first, then the bias.")
def _(features, labels, classes, steps, rate):
    weight, bias = descend(features, labels, classes, steps, rate)
    return bias, weight


@loop.misconception("as many classes as labels",
    "You counted the classes from the labels. `classes` says how many there are: "
    "one of them may have no picture.")
def _(features, labels, classes, steps, rate):
    return descend(features, labels, int(labels.max()) + 1, steps, rate)


steps_taken = Numeric(
    "steps-taken", title="How many steps?", points=1, difficulty=1, minutes=2,
    parameters=dict(pictures=5000, batch=48, epochs=30),
    parameter_values=dict(pictures=(1347, 2040, 5000, 8144, 9469, 50_000, 60_000), batch=(24, 48, 96, 128, 256),
              epochs=(10, 20, 30, 50, 100)),
    valid_if=lambda pictures, batch, epochs: pictures % batch > 0 and (pictures % batch) * epochs >= batch,
    prompt="{pictures} pictures, a batch size of {batch}, {epochs} epochs. As in `fit`, an epoch leaves out the "
    "pictures that do not fill a batch. How many steps does the whole run take?",
    answer=lambda pictures, batch, epochs: pictures // batch * epochs,
    misconceptions=[
        Misconception("one epoch",
            lambda pictures, batch, epochs: pictures // batch, "That is one epoch. There are {epochs}."),
        Misconception("last batch too", lambda pictures, batch, epochs: -(-pictures // batch) * epochs,
            "You counted a step for the last, smaller batch as well. Here it is left out: round down."),
        Misconception("rounded at the end", lambda pictures, batch, epochs: pictures * epochs // batch,
            "You rounded once, at the end. Every epoch leaves a few pictures out: round first, then multiply."),
        Misconception("pictures seen", lambda pictures, batch, epochs: pictures * epochs,
            "That is how many pictures the model sees. A step takes {batch} of them."),
        Misconception("epochs alone", lambda pictures, batch, epochs: epochs,
            "Those are epochs. In each, the weights move once for every batch."),
    ],
    hints=["How many full batches are there in {pictures} pictures? `//` rounds down.",
           "That many steps, {epochs} times."],
    why=lambda pictures, batch, epochs: f"{pictures} // {batch} = {pictures // batch} steps an epoch, times {epochs} "
    f"epochs = {pictures // batch * epochs}.",
)

# ── 7.4 · The learning rate ────────────────────────────────────────────────────────────────────────────────────────


def learning_rate(step: int, steps: int, warmup: int, highest: float, lowest: float) -> float:
    """The learning rate at a step, 0…steps − 1: up a straight line, then down half a cosine.

    Steps 0 to warmup − 1 climb: highest / warmup, twice that, …, highest. From step `warmup` on it falls, from
    `highest` towards `lowest`, which it would reach at step `steps`. 0 ≤ warmup < steps.

    >>> [learning_rate(step, 6, 2, 1.0, 0.0) for step in (0, 1, 2, 4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    if step < warmup:
        return highest * (step + 1) / warmup
    done = (step - warmup) / (steps - warmup)  # 0…1: how much of the fall is behind us
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * done)) / 2


def plans(dice: random.Random, warmup: int | None = None, lowest: float = 0.0) -> list[tuple]:
    """Arguments of `learning_rate` along one run."""
    steps = dice.randrange(40, 90)
    warm = dice.randrange(6, 15) if warmup is None else warmup
    highest = dice.choice([3e-1, 0.7, 2.0])
    falling = [(step, steps, warm, highest, lowest) for step in (warm, warm + 1, (steps + warm) // 2 + 3, steps - 1)]
    return [*falling, *((step, steps, warm, highest, lowest) for step in range(0, warm, 3))]


plan = Code(
    "learning-rate", title="Your own learning_rate", points=4, difficulty=2, minutes=8, tolerance=1e-6,
    prompt="Write the schedule of the figure above: what is the learning rate at each step of the run? "
    "$\\eta = \\eta_\\text{low} + (\\eta_\\text{high} - \\eta_\\text{low}) \\cdot \\tfrac12 (1 + \\cos \\pi t)$, where "
    "t runs from 0 to 1 while the rate falls.",
    reference=learning_rate,
    examples=[
        (0, 6, 2, 1.0, 0.0), (1, 6, 2, 1.0, 0.0), (2, 6, 2, 1.0, 0.0), (4, 6, 2, 0.5, 0.0),
        (0, 9, 4, 1.0, 0.3), (3, 6, 2, 1.0, 0.3), (5, 6, 2, 0.5, 0.3), (3, 4, 0, 1.0, 0.0),
    ],
    checks={
        "a whole run": lambda dice: plans(dice),
        "ends above zero": lambda dice: [*plans(dice, lowest=0.05), (0, 50, 10, 1.0, 0.4), (2, 50, 10, 1.0, 0.4)],
        "without a warm-up": lambda dice: plans(dice, warmup=0),
        "a warm-up of one step": lambda dice: plans(dice, warmup=1),
    },
    hints=[
        "Two cases: `if step < warmup:`, and all other steps.",
        "In the warm-up: the first step has highest / warmup, the last one highest. So (step + 1) / warmup.",
        "In the fall, t = (step − warmup) / (steps − warmup): it is 0 at step `warmup`.",
        "The examples pass but grading finds a mistake? Try `lowest` above 0, and a warm-up of 0 steps.",
    ],
    why="A straight line up, half a cosine down. `vitlib.training.optim.warm_cosine` is this, highest rate 1.",
)


@plan.alternative
def _(step, steps, warmup, highest, lowest):
    if warmup > step:
        return (1 + step) * highest / warmup
    angle = math.pi * (step - warmup) / (steps - warmup)
    return lowest * math.sin(angle / 2) ** 2 + highest * math.cos(angle / 2) ** 2


@plan.alternative
def _(step, steps, warmup, highest, lowest):
    climb = [highest * place / warmup for place in range(1, warmup + 1)]
    turns = torch.arange(steps - warmup, dtype=torch.float64) / (steps - warmup) * torch.pi
    fall = ((highest + lowest) / 2 + (highest - lowest) / 2 * turns.cos()).tolist()
    return [*climb, *fall][step]


def fallen(step, steps, warmup, highest, lowest, done=None, shape=None):
    """The plan with another share of the fall behind us, or another shape of it."""
    if step < warmup:
        return highest * (step + 1) / warmup
    t = (step - warmup) / (steps - warmup) if done is None else done
    return lowest + (highest - lowest) * ((1 + math.cos(math.pi * t)) / 2 if shape is None else shape(t))


@plan.misconception("first step of zero",
    "Your first step has a rate of 0, and moves nothing. The warm-up begins at highest / "
    "warmup: step + 1 over warmup.")
def _(step, steps, warmup, highest, lowest):
    return highest * step / warmup if step < warmup else fallen(step, steps, warmup, highest, lowest)


@plan.misconception("warm-up from zero to the highest",
    "Your warm-up begins at 0 and reaches `highest` at its last step. It begins a step further up, at highest / "
    "warmup: step + 1 over warmup.")
def _(step, steps, warmup, highest, lowest):
    if step < warmup:
        return highest * step / max(warmup - 1, 1)
    return learning_rate(step, steps, warmup, highest, lowest)


@plan.misconception("warm-up along a curve",
    "Your warm-up follows half a cosine. It is a straight line; only the fall is a cosine.")
def _(step, steps, warmup, highest, lowest):
    if step < warmup:
        return highest * (1 - math.cos(math.pi * (step + 1) / warmup)) / 2
    return learning_rate(step, steps, warmup, highest, lowest)


@plan.misconception("warm-up never below lowest",
    "Your warm-up does not go below `lowest`. It may: `lowest` is where the fall ends, and the climb begins at "
    "highest / warmup, whatever that is.")
def _(step, steps, warmup, highest, lowest):
    return max(lowest, learning_rate(step, steps, warmup, highest, lowest))


@plan.misconception("no fall without a warm-up",
    "Without a warm-up your rate stays at `highest`. It falls all the same, from step 0 on.")
def _(step, steps, warmup, highest, lowest):
    return learning_rate(step, steps, warmup, highest, lowest) if warmup else highest


@plan.misconception("warm-up divided by a step more",
    "You divide the warm-up by warmup + 1, so that it reaches `highest` a step late. It has `warmup` steps, and the "
    "last of them has the highest rate.")
def _(step, steps, warmup, highest, lowest):
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    return learning_rate(step, steps, warmup, highest, lowest)


@plan.misconception("warm-up a step too long",
    "At step `warmup` you still climb, above `highest`. The warm-up is steps 0 to warmup − 1: `step < warmup`.")
def _(step, steps, warmup, highest, lowest):
    if step <= warmup:
        return highest * (step + 1) / max(warmup, 1)
    return learning_rate(step, steps, warmup, highest, lowest)


@plan.misconception("the fall begins a step early",
    "At step `warmup` your rate has fallen already. There t is 0: step − warmup, without + 1.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, done=(step + 1 - warmup) / (steps - warmup))


@plan.misconception("divided by a warm-up of 0",
    "With warmup = 0 you divide by zero. Compute the climb inside `if step < warmup:`, where warmup is at least 1.")
def _(step, steps, warmup, highest, lowest):
    climb = highest * (step + 1) / warmup
    return climb if step < warmup else learning_rate(step, steps, warmup, highest, lowest)


@plan.misconception("no warm-up", "You left out the warm-up: your rate begins at its highest.")
def _(step, steps, warmup, highest, lowest):
    return highest if step < warmup else fallen(step, steps, warmup, highest, lowest)


@plan.misconception("lowest forgotten", "Your schedule ends at 0. It should fall to `lowest`.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, 0.0)


@plan.misconception("lowest as a limit",
    "You cut the curve off at `lowest`. Scale it instead, so that it *falls to* `lowest`.")
def _(step, steps, warmup, highest, lowest):
    return max(lowest, fallen(step, steps, warmup, highest, 0.0)) if step >= warmup else highest * (step + 1) / warmup


@plan.misconception("lowest as a share",
    "You took `lowest` for a share of `highest`. It is a learning rate itself: the one that the fall ends at.")
def _(step, steps, warmup, highest, lowest):
    return learning_rate(step, steps, warmup, highest, highest * lowest)


@plan.misconception("lowest added",
    "You added `lowest` to the whole curve: it begins above `highest`. The distance to fall is "
    "highest − lowest.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, 0.0) + lowest * (step >= warmup)


@plan.misconception("warm-up from lowest",
    "The warm-up begins at highest / warmup, not at `lowest`: see the docstring.")
def _(step, steps, warmup, highest, lowest):
    climbed = lowest + (highest - lowest) * (step + 1) / warmup if step < warmup else 0.0
    return climbed if step < warmup else fallen(step, steps, warmup, highest, lowest)


@plan.misconception("fall over all steps",
    "Your t counts from step 0, so the rate jumps down at the end of the warm-up. Count "
    "from `warmup`.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, done=step / steps)


@plan.misconception("divided by all steps",
    "Your t never comes near 1: divide by the steps that the fall has, steps − warmup.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, done=(step - warmup) / steps)


@plan.misconception("reached a step early",
    "Your rate is `lowest` at the last step already. It would be so at step `steps`: "
    "divide by steps − warmup.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, done=(step - warmup) / max(steps - warmup - 1, 1))


@plan.misconception("straight down", "You go down a straight line. It is half a cosine: (1 + cos πt) / 2.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, shape=lambda t: 1 - t)


@plan.misconception("a quarter of a cosine",
    "You took cos(πt/2), which falls slowly at first and fast in the end. Take "
    "(1 + cos πt) / 2: slow, fast, slow.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, shape=lambda t: math.cos(math.pi * t / 2))


@plan.misconception("whole cosine",
    "cos πt falls from 1 to −1: your rate becomes negative, and the step goes uphill. Add 1, and "
    "halve.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, shape=lambda t: math.cos(math.pi * t))


@plan.misconception("not halved", "1 + cos πt begins at 2. Halve it.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, shape=lambda t: 1 + math.cos(math.pi * t))


@plan.misconception("degrees", "`math.cos` counts in radians: half a turn is π, not 180.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, shape=lambda t: (1 + math.cos(180 * t)) / 2)


@plan.misconception("upside down",
    "Your rate rises after the warm-up, from the lowest to the highest. 1 + cos, not 1 − cos.")
def _(step, steps, warmup, highest, lowest):
    return fallen(step, steps, warmup, highest, lowest, shape=lambda t: (1 - math.cos(math.pi * t)) / 2)


which_rate = Choice(
    "which-rate", title="A loss that jumps", points=1, difficulty=1, minutes=2,
    prompt="Ten classes, no label smoothing, AdamW with clipped gradients. After a thousand steps the training loss is "
    "2.6 and jumps up and down. What do you try **first**?",
    options={
        "Train for ten times as long.":
            "A model that guesses has a loss of ln 10 = 2.30. This one is worse than guessing, and it jumps: more of "
            "the same steps will not help.",
        "A larger model.":
            "The loss is above ln 10, which guessing gives. The model is not too small: it is not learning at all.",
        "A tenth of the learning rate.": None,
        "Stronger augmentation.":
            "That makes training harder still. It is a remedy where the training loss is *low* and the test loss high.",
        "Ten times the learning rate.":
            "A rate that is too low gives a curve that falls slowly from ln 10. This one jumps, and lies above it.",
    },
    hints=["What is the loss of a model that gives each class a tenth?",
           "Too low, or too high: which of the two jumps?"],
    why="2.6 is above ln 10 = 2.30. A model that knows nothing would do better; this one is sure of wrong things, and "
    "each step overshoots the valley. Take smaller steps first.",
)

# ── 7.5 · Targets ──────────────────────────────────────────────────────────────────────────────────────────────────


def smooth_targets(labels: torch.Tensor, classes: int, smoothing: float) -> torch.Tensor:
    """What the model should answer, [B, K]: 1 − ε for the picture's own class, and ε spread evenly over all K.

    labels: [B], whole numbers; classes: K; smoothing: ε, 0…1.

    >>> smooth_targets(torch.tensor([1]), classes=4, smoothing=0.2)
    tensor([[0.0500, 0.8500, 0.0500, 0.0500]])
    """
    one_hot = F.one_hot(labels, classes).float()  # B K
    return (1 - smoothing) * one_hot + smoothing / classes


def some_labels(dice: random.Random, classes: int, number: int = 6) -> torch.Tensor:
    return torch.randint(classes, (number,), generator=dice_of(dice))


targets = Code(
    "smooth-targets", title="Your own smooth_targets", points=3, difficulty=1, minutes=5, tolerance=1e-6,
    prompt="Write the table of smoothed targets, a row for each picture. The ε is spread over *all* K classes, the "
    "picture's own among them.",
    reference=smooth_targets,
    examples=[(torch.tensor([1]), 4, 0.2), (torch.tensor([0, 2, 2]), 3, 0.0), (torch.tensor([1, 0]), 7, 0.3)],
    checks={
        "any labels": lambda dice: [(some_labels(dice, 5), 5, 0.1), (some_labels(dice, 10, 4), 10, 0.3)],
        "two classes": lambda dice: [(torch.tensor([0, 1, 1]), 2, 0.25)],
        "no smoothing": lambda dice: [(some_labels(dice, 7), 7, 0.0)],
        "nothing but smoothing": lambda dice: [(some_labels(dice, 6), 6, 1.0)],
        "a class that no picture has": [(torch.tensor([0, 1, 0]), 5, 0.1)],
    },
    hints=[
        "`F.one_hot(labels, classes)` is a table of ones and zeros. Convert it to floats.",
        "Multiply it by 1 − ε, and add ε / K to every number. Each row still adds up to 1.",
        "The examples pass but grading finds a mistake? Add up a row. And count the columns: are there K of them?",
    ],
    why="(1 − ε) · one_hot + ε / K. torch's `F.cross_entropy(..., label_smoothing=ε)` does the same inside.",
)


@targets.alternative
def _(labels, classes, smoothing):
    table = torch.full((len(labels), classes), smoothing / classes)
    table[torch.arange(len(labels)), labels] += 1 - smoothing
    return table


@targets.alternative
def _(labels, classes, smoothing):
    return torch.eye(classes)[labels].lerp(torch.full((len(labels), classes), 1 / classes), smoothing)


@targets.misconception("spread over the others",
    "You spread ε over the K − 1 *other* classes. Here all K get their share, the "
    "picture's own class too.")
def _(labels, classes, smoothing):
    one_hot = F.one_hot(labels, classes).float()
    return (1 - smoothing) * one_hot + smoothing / (classes - 1) * (1 - one_hot)


@targets.misconception("own class without its share",
    "The picture's own class gets 1 − ε *and* its share of ε: your rows add up to "
    "less than 1.")
def _(labels, classes, smoothing):
    one_hot = F.one_hot(labels, classes).float()
    return (1 - smoothing) * one_hot + smoothing / classes * (1 - one_hot)


@targets.misconception("not taken away",
    "You added ε / K and took nothing away: your rows add up to more than 1. The one-hot part "
    "weighs 1 − ε.")
def _(labels, classes, smoothing):
    return F.one_hot(labels, classes).float() + smoothing / classes


@targets.misconception("ε for each class", "Every class got the whole ε. It is to be spread: ε / K for each.")
def _(labels, classes, smoothing):
    return (1 - smoothing) * F.one_hot(labels, classes).float() + smoothing


@targets.misconception("ε and 1 − ε exchanged", "You swapped ε and 1 − ε. With ε = 0 the targets should be one-hot.")
def _(labels, classes, smoothing):
    return smoothing * F.one_hot(labels, classes).float() + (1 - smoothing) / classes


@targets.misconception("no smoothing", "Those are one-hot targets. Where is ε?")
def _(labels, classes, smoothing):
    return F.one_hot(labels, classes).float()


@targets.misconception("spread over the pictures",
    "You divided ε by the number of pictures. It is spread over the classes.")
def _(labels, classes, smoothing):
    return (1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / len(labels)


@targets.misconception("classes counted from labels",
    "You counted the classes from the labels. `classes` says how many there "
    "are: one of them may have no picture.")
def _(labels, classes, smoothing):
    classes = int(labels.max()) + 1
    return (1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / classes


@targets.misconception("one_hot without the classes",
    "`F.one_hot(labels)` has as many columns as the largest label asks for. Pass the classes, too: "
    "`F.one_hot(labels, classes)`.")
def _(labels, classes, smoothing):
    return (1 - smoothing) * F.one_hot(labels).float() + smoothing / classes


@targets.misconception("every label in every row",
    "Every row has a large number for each label of the batch. `table[:, labels]` are whole columns; row b and its own "
    "label are `table[torch.arange(len(labels)), labels]`.")
def _(labels, classes, smoothing):
    table = torch.full((len(labels), classes), smoothing / classes)
    table[:, labels] += 1 - smoothing
    return table


@targets.misconception("turned round", "Your table is [K, B]. Each row belongs to a picture: [B, K].")
def _(labels, classes, smoothing):
    return ((1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / classes).T


@targets.misconception("own class gets all of it",
    "The picture's own class got 1 here. It gives away ε, and gets ε / K back.")
def _(labels, classes, smoothing):
    return F.one_hot(labels, classes).float().clamp(min=smoothing / classes)


@targets.misconception("softmax on top", "You put the targets through a softmax. They are probabilities already.")
def _(labels, classes, smoothing):
    return ((1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / classes).softmax(dim=1)


@targets.misconception("the row's own class alone",
    "You return one number for each picture. The table has one for each class, "
    "too: [B, K].")
def _(labels, classes, smoothing):
    return torch.full((len(labels),), 1 - smoothing + smoothing / classes)


which_change = Choice(
    "which-change", title="What keeps the class?", points=1, difficulty=1, minutes=2,
    prompt="Four classifiers, each with an augmentation that is applied to half of its training pictures. Which one "
    "**keeps the class**, so that it may be used?",
    options={
        "Road signs (“turn left”, “turn right”, …): mirror left and right.":
            "The mirrored sign *is* the other class. The label stays, and is wrong.",
        "Handwritten 6 and 9, among other digits: turn upside down.":
            "A 6 upside down is a 9. The label stays, and is wrong.",
        "Cells under a microscope, healthy or not: turn by 90°, mirror.": None,
        "Ripe and unripe tomatoes: change the hue at random.":
            "Colour is what tells them apart. This augmentation removes what should be learned.",
    },
    hints=["Show the changed picture to an expert who has not seen the original. Would the answer be the same?"],
    why="A slide under a microscope has no up and no left: it could just as well have been turned or mirrored. Ask of "
    "each augmentation whether an expert would still give the same label.",
)

# ── 7.6 · Validation ───────────────────────────────────────────────────────────────────────────────────────────────

two_curves = Choice(
    "two-curves", title="One falls, one rises", points=1, difficulty=1, minutes=2,
    prompt="800 training pictures, a large model. The training loss falls from epoch to epoch; the validation loss has "
    "risen since epoch 12. What is happening, and what helps?",
    options={
        "The learning rate is too high: make it smaller.":
            "With a learning rate that is too high the *training* loss would not fall so steadily. With a smaller one "
            "the same happens later.",
        "The model learns its training pictures by heart: more augmentation, or start from a pretrained model.": None,
        "The model is too small to learn the task: take a larger one.":
            "It fits its training pictures better and better, so it is large enough for them, perhaps too large.",
        "Nothing is wrong. The loss that is trained goes down, and that is what counts.":
            "What counts is what the model says about pictures that it has not seen, and that is getting worse.",
    },
    hints=["On which pictures does the model become better, and on which worse?"],
    why="That is overfitting. More pictures, augmentation, pretraining, more weight decay or a smaller model help; so "
    "does keeping the weights of epoch 12 (early stopping).",
)


def split_by_group(groups: torch.Tensor, held: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of the pictures to learn from, and of those to validate on; no group lies on both sides.

    groups: [B], the group that each picture belongs to (a patient, a video, a writer); held: [M], the groups that are
    held back for validation. Both results list places 0…B − 1 in rising order.

    >>> split_by_group(torch.tensor([7, 7, 4, 9, 4]), held=torch.tensor([4]))
    (tensor([0, 1, 3]), tensor([2, 4]))
    """
    kept_back = torch.isin(groups, held)  # B: True where the picture's group is held back
    return (~kept_back).nonzero()[:, 0], kept_back.nonzero()[:, 0]


def families(dice: random.Random, number: int = 12, groups: int = 5, held: int = 2) -> tuple:
    """Arguments of `split_by_group`: group numbers that are no places, each with a picture at least."""
    dots = dice_of(dice)
    names = 20 + torch.randperm(30, generator=dots)[:groups]
    members = torch.cat([torch.arange(groups), torch.randint(groups, (number - groups,), generator=dots)])
    order = torch.randperm(number, generator=dots)
    return names[members][order], names[:held]


split = Code(
    "split-by-group", title="Your own split_by_group", points=3, difficulty=2, minutes=6, tolerance=0,
    prompt="Several pictures show the same patient, or are copies of one picture: they form a **group**. Split the "
    "pictures so that each group is either learned from or validated on, never both.",
    reference=split_by_group,
    examples=[
        (torch.tensor([7, 7, 4, 9, 4]), torch.tensor([4])),
        (torch.tensor([30, 20, 30, 10, 20, 40]), torch.tensor([40, 20])),
        (torch.tensor([5, 8, 5]), torch.tensor([6])),
        (torch.tensor([5, 8, 5]), torch.tensor([8])),
    ],
    checks={
        "two groups held back": lambda dice: [families(dice), families(dice, number=15, groups=6)],
        "one group held back": lambda dice: [families(dice, held=1)],
        "most groups held back": lambda dice: [families(dice, groups=6, held=5)],
        "a group without pictures": [
            (torch.tensor([25, 21, 25, 29]), torch.tensor([22, 29])), (torch.tensor([24, 21, 24]), torch.tensor([26])),
        ],
    },
    hints=[
        "`torch.isin(groups, held)` says for each picture whether its group is held back.",
        "`mask.nonzero()[:, 0]` turns a mask into places; `~mask` is its opposite.",
        "The examples pass but grading finds a mistake? Hold back two groups of different sizes, in falling order.",
    ],
    why="Split the groups first, and the pictures follow their group. A random split of the pictures would put copies "
    "of what was learned into the validation set.",
)


@split.alternative
def _(groups, held):
    chosen = {*held.tolist()}
    names = groups.tolist()
    parts = [[place for place, name in enumerate(names) if (name in chosen) == kept] for kept in (False, True)]
    return torch.tensor(parts[0], dtype=torch.int64), torch.tensor(parts[1], dtype=torch.int64)


@split.alternative
def _(groups, held):
    kept_back = (groups[:, None] == held).any(dim=1)  # B M → B
    places = torch.arange(len(groups))
    return places[~kept_back], places[kept_back]


@split.misconception("sides exchanged",
    "You return the validation pictures first. The pictures to learn from come first.")
def _(groups, held):
    return split_by_group(groups, held)[::-1]


@split.misconception("masks",
    "Those are masks, True or False for each picture. Return the places: `mask.nonzero()[:, 0]`.")
def _(groups, held):
    kept_back = torch.isin(groups, held)
    return ~kept_back, kept_back


@split.misconception("places in a column",
    "`nonzero()` gives a column, [n, 1]. Take its first column: `nonzero()[:, 0]`.")
def _(groups, held):
    kept_back = torch.isin(groups, held)
    return (~kept_back).nonzero(), kept_back.nonzero()


@split.misconception("squeezed to a single number",
    "Where one place is found, your `squeeze()` leaves a number without an axis. Take the first column instead: "
    "`nonzero()[:, 0]`.")
def _(groups, held):
    kept_back = torch.isin(groups, held)
    return (~kept_back).nonzero().squeeze(), kept_back.nonzero().squeeze()


@split.misconception("an empty tensor of floats",
    "Where no place is found, `torch.tensor([])` holds floats, and floats are no places. Say what it holds: "
    "`torch.tensor(places, dtype=torch.long)`.")
def _(groups, held):
    kept_back = torch.isin(groups, held).tolist()
    learned = [place for place, back in enumerate(kept_back) if not back]
    return torch.tensor(learned), torch.tensor([place for place, back in enumerate(kept_back) if back])


@split.misconception("in the order of the groups held",
    "The right pictures, listed group by group. List the places in rising order.")
def _(groups, held):
    found = torch.cat([(groups == group).nonzero()[:, 0] for group in held])
    return split_by_group(groups, held)[0], found


@split.misconception("compared with one group alone",
    "`groups == held` compares place by place, and stops where the two are not equally long. Ask of each picture "
    "whether its group is *among* those held back: torch.isin.")
def _(groups, held):
    kept_back = groups == held
    return (~kept_back).nonzero()[:, 0], kept_back.nonzero()[:, 0]


@split.misconception("groups for places",
    "Those are the groups of the pictures. Return where the pictures lie: 0 for the first one.")
def _(groups, held):
    kept_back = torch.isin(groups, held)
    return groups[~kept_back], groups[kept_back]


@split.misconception("held as places",
    "You held back the pictures at these places. `held` names groups: find the pictures that belong to them.")
def _(groups, held):
    kept_back = torch.isin(torch.arange(len(groups)), held)
    return (~kept_back).nonzero()[:, 0], kept_back.nonzero()[:, 0]


@split.misconception("first picture of a group",
    "You held back one picture of each group. The others of that group are copies of it: hold back all of them.")
def _(groups, held):
    names = groups.tolist()
    first = [names.index(name) for name in held.tolist() if name in names]
    kept_back = torch.isin(torch.arange(len(groups)), torch.tensor(first, dtype=torch.int64))
    return (~kept_back).nonzero()[:, 0], kept_back.nonzero()[:, 0]


@split.misconception("first group only", "You held back the first group of `held` only. There may be several.")
def _(groups, held):
    return split_by_group(groups, held[:1])


@split.misconception("last group only",
    "You held back the last group of `held` only. In a loop over the groups, each turn must add to the mask of the "
    "turn before: `mask |= groups == group`.")
def _(groups, held):
    return split_by_group(groups, held[-1:])


@split.misconception("everything learned",
    "You learn from all pictures, those held back among them. That is leakage: take them out.")
def _(groups, held):
    return torch.arange(len(groups)), torch.isin(groups, held).nonzero()[:, 0]


@split.misconception("validated on everything",
    "You validate on all pictures, those learned from among them. Keep only the groups held back.")
def _(groups, held):
    return (~torch.isin(groups, held)).nonzero()[:, 0], torch.arange(len(groups))


@split.misconception("sorted by group",
    "The right pictures, in the order of their groups. List the places in rising order.")
def _(groups, held):
    order = groups.argsort(stable=True, descending=True)
    kept_back = torch.isin(groups[order], held)
    return order[~kept_back], order[kept_back]


@split.misconception("cut at a number",
    "You held back every group up to the largest number in `held`. Only the groups that are named there belong to it.")
def _(groups, held):
    kept_back = groups <= held.max()
    return (~kept_back).nonzero()[:, 0], kept_back.nonzero()[:, 0]


@split.misconception("as many pictures as groups",
    "You held back the last pictures, as many as `held` has groups. It names groups, and each may have several "
    "pictures anywhere.")
def _(groups, held):
    places = torch.arange(len(groups))
    return places[: -len(held)], places[-len(held) :]


@split.misconception("counted from one", "Places count from 0: yours begin one place late.")
def _(groups, held):
    return tuple(places + 1 for places in split_by_group(groups, held))


leak = Choice(
    "leak", title="Which test is honest?", points=1, difficulty=2, minutes=2,
    prompt="Four ways to get a test accuracy. Which one can be believed?",
    options={
        "Every photo is shifted and mirrored into ten copies; then the copies are split at random.":
            "Copies of one photo lie on both sides. Split the photos first; augment the training part only.",
        "20 videos are cut into frames; every fifth frame goes to the test set.":
            "Neighbouring frames are nearly the same picture. Whole videos belong on one side.",
        "300 patients with several scans each; all scans of a patient lie on the same side.": None,
        "The split is by patient; the learning rate and the epoch are those with the highest test accuracy.":
            "The choice has seen the test set: among many tries the luckiest wins. Choose on validation pictures.",
    },
    hints=["Ask of each: has anything that was learned or chosen seen the test pictures, or near copies of them?"],
    why="The group (the patient) lies on one side, and nothing is chosen on the test set. The other three numbers are "
    "higher than what new pictures would give.",
)

# ── 7.7 · Fine-tuning ──────────────────────────────────────────────────────────────────────────────────────────────

learning_parameters = Numeric(
    "learning-parameters", title="What learns?", points=1, difficulty=2, minutes=3,
    parameters=dict(d=384, blocks=2, classes=5),
    parameter_values=dict(d=(192, 384, 768), blocks=(2, 3, 4, 6), classes=(2, 5, 10, 37, 102)),
    prompt="A pretrained ViT with D = {d} gets a new head for {classes} classes. The last {blocks} blocks, the final "
    "LayerNorm and the head learn; everything else is frozen. How many parameters learn? (A block has 12D² + 13D, as "
    "in chapter 4.)",
    answer=lambda d, blocks, classes: blocks * (12 * d * d + 13 * d) + 2 * d + d * classes + classes,
    unit="parameters",
    misconceptions=[
        Misconception("head alone", lambda d, blocks, classes: d * classes + classes,
            "That is the head alone. The last {blocks} blocks and the final LayerNorm learn as well."),
        Misconception("no bias", lambda d, blocks, classes: blocks * (12 * d * d + 13 * d) + 2 * d + d * classes,
            "Nearly: the head has a bias, one number for each class."),
        Misconception("no final norm",
            lambda d, blocks, classes: blocks * (12 * d * d + 13 * d) + d * classes + classes,
            "Nearly: the final LayerNorm learns as well. It has a γ and a β of D numbers each."),
        Misconception("one block", lambda d, blocks, classes: 12 * d * d + 13 * d + 2 * d + d * classes + classes,
            "You counted one block. {blocks} learn."),
        Misconception("blocks alone", lambda d, blocks, classes: blocks * (12 * d * d + 13 * d),
            "Those are the blocks. Head and final LayerNorm come on top."),
        Misconception("matrices alone", lambda d, blocks, classes: blocks * 12 * d * d + 2 * d + d * classes + classes,
            "A block has biases and two norms besides its matrices: 13D more."),
    ],
    hints=["Blocks, LayerNorm (γ and β, D numbers each), and a head of [K, D] with K biases.",
           "{blocks} · (12·{d}² + 13·{d}) + 2·{d} + {d}·{classes} + {classes}."],
    why=lambda d, blocks, classes: f"{blocks} · {12 * d * d + 13 * d:,} + {2 * d:,} + {d * classes + classes:,} = "
    f"{blocks * (12 * d * d + 13 * d) + 2 * d + d * classes + classes:,}. Only those need gradients and "
    "AdamW's two averages: freezing saves memory as well.",
)

whose_normalisation = TrueFalse(
    "whose-normalisation", title="Whose mean and deviation?", points=1, difficulty=2, minutes=1,
    prompt="“To fine-tune a pretrained model, you normalise your pictures with the mean and standard deviation of "
    "*your own* pictures, so that they are centred.”",
    answer=False,
    misconception="Your own numbers may happen to lie near the checkpoint's, and then little is lost. In the last two "
    "rows of the table above they do not. Which numbers are safe, whatever your pictures?",
    hints=["Which numbers did the model see for black and for white when it learned what they mean?"],
    why="False. The weights were learned on pixels that had been normalised in one particular way, and expect them so. "
    "The numbers belong to the checkpoint, as its weights do.",
)

# ── 7.8 · Pretraining ──────────────────────────────────────────────────────────────────────────────────────────────

masked_tokens = Numeric(
    "masked-tokens", title="What the encoder sees", points=1, difficulty=2, minutes=3,
    parameters=dict(side=224, patch=16, percent=75),
    parameter_values=dict(side=range(128, 769, 32), patch=(8, 16, 32), percent=(50, 75)),
    valid_if=lambda side, patch, percent: side % patch == 0 and (side // patch) ** 2 * percent % 100 == 0,
    prompt="A masked autoencoder cuts pictures of {side} × {side} pixels into patches of {patch} × {patch} and hides "
    "{percent} % of them. Its encoder has a CLS token. How long is the sequence that the encoder reads?",
    answer=lambda side, patch, percent: (side // patch) ** 2 * (100 - percent) // 100 + 1,
    unit="tokens",
    misconceptions=[
        Misconception("no CLS", lambda side, patch, percent: (side // patch) ** 2 * (100 - percent) // 100,
            "Those are the patch tokens that are left. The CLS token comes on top."),
        Misconception("nothing hidden", lambda side, patch, percent: (side // patch) ** 2 + 1,
            "That is the whole sequence. The encoder does not see hidden patches at all, not even as mask tokens."),
        Misconception("patches alone", lambda side, patch, percent: (side // patch) ** 2,
            "Those are all patches. {percent} % of them are hidden, and CLS comes on top."),
        Misconception("the hidden ones", lambda side, patch, percent: (side // patch) ** 2 * percent // 100 + 1,
            "You counted the patches that are hidden. The encoder sees the others."),
        Misconception("one side", lambda side, patch, percent: side // patch * (100 - percent) // 100 + 1,
            "You forgot to square: {side} / {patch} is one side of the grid."),
    ],
    hints=["How many patches are there, and what share of them stays?",
           "({side} / {patch})² · (100 − {percent}) / 100, and the CLS token."],
    why=lambda side, patch, percent: f"{(side // patch) ** 2} patches, of which "
    f"{(side // patch) ** 2 * (100 - percent) // 100} stay, and CLS: "
    f"{(side // patch) ** 2 * (100 - percent) // 100 + 1}. The decoder gets the mask tokens; it is small, and is "
    "thrown away.",
)

# ── 7.10 · At work ─────────────────────────────────────────────────────────────────────────────────────────────────

eval_mode = TrueFalse(
    "eval-mode", title="A mode that is forgotten", points=1, difficulty=1, minutes=1,
    prompt="“`torch.no_grad()` switches dropout off, so `model.eval()` is not needed as well.”",
    answer=False,
    misconception="`no_grad` is about gradients: nothing is kept for a backward pass. Which of the two lines changed "
    "the answers in the cell above?",
    hints=["The two do different things. One saves memory; the other changes what some layers *do*."],
    why="False. `eval()` changes what dropout and batch norm do, `no_grad()` keeps nothing for gradients. To ask a "
    "model you want both; `vitlib.training.predict.predict` does both, and puts the mode back.",
)


def window_starts(size: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one axis of `size` pixels, so that every pixel lies in at least one of them.

    0, stride, 2·stride, … for as long as the window fits; where pixels are left over, one more window ends flush with
    the picture. 1 ≤ stride ≤ window ≤ size.

    >>> window_starts(size=10, window=4, stride=3)
    [0, 3, 6]
    >>> window_starts(size=12, window=4, stride=3)
    [0, 3, 6, 8]
    """
    starts = list(range(0, size - window + 1, stride))
    if starts[-1] + window < size:
        starts.append(size - window)
    return starts


def roads(dice: random.Random, left: bool) -> list[tuple[int, int, int]]:
    """Arguments of `window_starts`, with pixels left over behind the last whole stride or without."""
    found = []
    for _ in range(4):
        stride = dice.randrange(5, 30)
        window = stride + dice.randrange(3, 20)
        found.append((window + stride * dice.randrange(3, 9) + left * dice.randrange(1, stride), window, stride))
    return found


starts = Code(
    "window-starts", title="Your own window_starts", points=3, difficulty=2, minutes=7, tolerance=0,
    prompt="A model reads windows of a larger picture. Where does each window begin, along one axis?",
    reference=window_starts,
    examples=[(10, 4, 3), (12, 4, 3), (4, 4, 2), (18, 5, 3), (9, 6, 1), (10, 4, 4)],
    checks={
        "pixels left over": lambda dice: roads(dice, left=True),
        "nothing left over": lambda dice: roads(dice, left=False),
        "side by side": lambda dice: [(7 * dice.randrange(3, 9), 7, 7), (50, 8, 8)],
        "every pixel": lambda dice: [(dice.randrange(10, 20), 6, 1), (15, 9, 2)],
        "one window": lambda dice: [(9, 9, 4), (9, 9, 9)],
        "two windows": [(10, 9, 4), (17, 9, 9)],
    },
    hints=[
        "The last place where a window can begin is size − window.",
        "`range(0, size - window + 1, stride)` gives all the places on the stride that fit.",
        "Does the last of them reach the end? If not, add size − window.",
        "The examples pass but grading finds a mistake? Try size = window, and a size that fits exactly: is the last "
        "window there once, or twice?",
    ],
    why="All strides that fit, and one window flush with the end where pixels are left over. (`vitlib` spreads as many "
    "windows evenly instead, so that all overlaps are alike.)",
)


@starts.alternative
def _(size, window, stride):
    last = size - window
    return [min(place * stride, last) for place in range(-(-last // stride) + 1)]


@starts.alternative
def _(size, window, stride):
    return sorted({*range(0, size - window, stride), size - window})


@starts.misconception("end left out",
    "Right, except for the last pixels: where the stride does not divide evenly, no window covers "
    "them. Add one that ends with the picture.")
def _(size, window, stride):
    return list(range(0, size - window + 1, stride))


@starts.misconception("last window beyond the picture",
    "Your last window reaches beyond the picture. Let it begin at size − "
    "window.")
def _(size, window, stride):
    places = [0]
    while places[-1] + window < size:
        places.append(places[-1] + stride)
    return places


@starts.misconception("last window moved back",
    "You moved the last window back to the end, and left a gap where it was. Keep it, and add one more.")
def _(size, window, stride):
    places = list(range(0, size - window + stride, stride))
    reached = [place for place in places if place + window <= size]
    return [*reached[:-1], size - window] if len(reached) > 1 else reached


@starts.misconception("last window twice", "Where the stride divides evenly, your last window is there twice.")
def _(size, window, stride):
    return [*range(0, size - window + 1, stride), size - window]


@starts.misconception("asked whether the size divides",
    "You ask whether `size` divides evenly. What has to divide is size − window, the last place where a window can "
    "begin.")
def _(size, window, stride):
    starts = list(range(0, size - window + 1, stride))
    return starts + [size - window] * (size % stride > 0)


@starts.misconception("stops a window early",
    "`range` stops before its end: a window that begins at size − window still fits.")
def _(size, window, stride):
    return list(range(0, size - window, stride))


@starts.misconception("begins everywhere",
    "Your windows begin up to the last pixel. A window of `window` pixels must still fit "
    "behind its beginning.")
def _(size, window, stride):
    return list(range(0, size, stride))


@starts.misconception("window for stride", "You move on by the window. Move on by the stride, so that windows overlap.")
def _(size, window, stride):
    places = list(range(0, size - window + 1, window))
    return places if places[-1] + window >= size else [*places, size - window]


@starts.misconception("stride for window", "You took the stride for the window where you ask what still fits.")
def _(size, window, stride):
    places = list(range(0, size - stride + 1, stride))
    return places if places[-1] + stride >= size else [*places, size - stride]


@starts.misconception("spread evenly",
    "You spread the windows evenly, as vitlib does. That works too, but the task is another: keep the "
    "stride, and let the last window be the exception.")
def _(size, window, stride):
    last = size - window
    gaps = -(-last // stride)
    return [last * i // gaps for i in range(gaps + 1)] if gaps else [0]


@starts.misconception("from the end", "You count from the end, so the odd window is the first one. Begin at 0.")
def _(size, window, stride):
    places = sorted(range(size - window, -1, -stride))
    return places if places[0] == 0 else [0, *places]


@starts.misconception("first window missing", "The first window is missing: it begins at 0.")
def _(size, window, stride):
    places = list(range(stride, size - window + 1, stride))
    return places if places and places[-1] + window >= size else [*places, size - window]


@starts.misconception("where windows end", "Those are the places where windows end. The question is where they begin.")
def _(size, window, stride):
    return [place + window for place in sorted({*range(0, size - window, stride), size - window})]


@starts.misconception("how many", "That is how many windows there are. Return a list of their beginnings.")
def _(size, window, stride):
    return -(-(size - window) // stride) + 1


@starts.misconception("counted from one", "Pixels are counted from 0: your windows begin one pixel late.")
def _(size, window, stride):
    return [place + 1 for place in sorted({*range(0, size - window, stride), size - window})]
