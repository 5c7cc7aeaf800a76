"""The walk: forward and backward through the list of operations, counting bytes, for the peak of each phase.

Forward, each operation adds the tensors that it keeps for backward. While it runs, its input and its output are in
memory too, and the tensors that the calling functions hold. Backward, each operation frees the tensors that it kept and
leaves the gradients of its weights; while it runs, the gradients of its output and of its input are in memory.

Equal blocks in a row change memory equally: kept bytes grow or shrink by the same amount in each, so the peak is in the
first of them or in the last. The walk visits one of the blocks in between and multiplies its change.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Literal, NamedTuple, get_args

from vitlib.cost.ops import Call, Op, Ops, flat
from vitlib.cost.run import Breakdown, Kind, Run

What = Literal["tensor", "extra", "copies", "gradients"]  # what can be kept of an operation


def peaks(ops: Ops, run: Run, lasting: Breakdown) -> dict[str, Breakdown]:
    """The bytes in memory at the peak of each phase. `lasting`: those that stay throughout, such as weights."""
    walk = Walk(ops, run, lasting)
    if not run.training:
        return {"inference": walk.forward()}
    return {"forward": walk.forward(), "backward": walk.backward(), "step": walk.step()}


class Step(NamedTuple):
    """One operation and its place in the list. Tensor 0 holds the pictures, tensor n is the output of operation n."""

    op: Op
    number: int  # of its output tensor; its input is the tensor before that
    held: tuple[int, ...]  # the inputs of the calls around it, which stay in memory meanwhile
    sums: tuple[int, ...]  # the sums that end the residual branches around it; backward, their gradients stay
    given: int  # the input of the encoder block around it; −1 where there is no block
    times: int  # how many equal operations this one represents


def steps(ops: Ops) -> list[Step]:
    """The operations in order, each with its place."""
    found: list[Step] = []

    def place(ops: Ops, held: tuple[int, ...], sums: tuple[int, ...], block: int, times: int) -> None:
        if isinstance(ops[-1], Op) and ops[-1].adds:
            sums = (*sums, len(found) + len(flat(ops)))
        for each, alike in [(each, times) for each in ops] if sums or block >= 0 else shortened(ops):
            given = len(found)
            if isinstance(each, Op):
                found.append(Step(each, given + 1, held, sums, block, alike))
            else:
                place(each.ops, (*held, given), sums, given if each.block else block, alike)

    place(ops, (), (), -1, 1)
    return found


def shortened(ops: Ops) -> Iterator[tuple[Op | Call, int]]:
    """Each operation or call, with the number of equal ones that it represents.

    Of n > 4 equal rounds, the first two and the last are visited one by one, because their neighbours differ, forward
    or backward. The third represents itself and all others up to the last but one, n − 3 in all.
    """
    start = 0
    while start < len(ops):
        size, times = next(((size, n) for size in (1, 2) if (n := rounds(ops, start, size)) > 4), (1, 1))
        for alike in (1, 1, times - 3, 1) if times > 1 else (1,):
            yield from ((each, alike) for each in ops[start : start + size])
        start += size * times


def rounds(ops: Ops, start: int, size: int) -> int:
    """How many times the next `size` calls repeat in a row. In Swin, `size` is 2: every second block shifts windows."""
    times = 1
    while ops[start : start + size] == ops[start + times * size : start + (times + 1) * size]:
        times += 1
    return times


class Memory:
    """The bytes that are kept at this point of the walk, and the most so far (the peak)."""

    def __init__(self, lasting: Breakdown) -> None:
        self.now: dict[str, int] = asdict(lasting)
        self.kept: dict[What, dict[int, int]] = {what: {} for what in get_args(What)}  # bytes, by number
        self.total = lasting.total
        self.top, self.peak = 0, self.now

    def keep(self, what: What, which: int, kind: Kind, size: int) -> None:
        """Count these bytes from now on, unless they are counted already."""
        if size and which not in self.kept[what]:
            self.kept[what][which] = size
            self.now[kind] += size
            self.total += size

    def free(self, what: What, which: int, kind: Kind) -> None:
        """Stop counting these bytes, if they were counted."""
        size = self.kept[what].pop(which, 0)
        self.now[kind] -= size
        self.total -= size

    def repeat(self, before: dict[str, int], times: int) -> None:
        """Apply the change since `before` so many times more."""
        for kind, size in self.now.items():
            self.now[kind] += times * (size - before[kind])
        self.total = sum(self.now.values())

    def moment(self, temporary: int) -> None:
        """Compare with the peak a moment at which so many bytes are in memory for a short time only."""
        if self.total + temporary > self.top:
            self.top = self.total + temporary
            self.peak = self.now | {"temporary": temporary}

    def phase(self) -> Breakdown:
        """End a phase: the peak since the phase before ended."""
        self.moment(0)
        self.top = 0
        return Breakdown(**self.peak)


class Walk:
    """One step of training, or one forward pass, through a list of operations."""

    def __init__(self, ops: Ops, run: Run, lasting: Breakdown) -> None:
        self.run, self.memory, self.steps = run, Memory(lasting), steps(ops)
        self.number = run.numbers[0]  # bytes of a number in a gradient
        self.ops = [Op("pictures", 0), *(step.op for step in self.steps)]  # ops[n] writes tensor n; pictures last
        first = next(n for n, op in enumerate(self.ops) if op.weights)
        self.gradients = [0] * first + [op.out for op in self.ops[first:]]  # bytes of each tensor's; pictures need none
        self.whose = list(range(len(self.ops)))  # the tensor whose gradient is also this one's
        for n in reversed(range(1, len(self.ops))):
            if self.ops[n].passes:
                self.whose[n - 1] = self.whose[n]

    def forward(self) -> Breakdown:
        """From the pictures to the loss, or to the logits."""
        for step in self.repeated(self.steps):
            again = self.computes_again(step)
            if again:
                self.keep(step.given)
            self.run_forward(step, keeping=self.run.training and not again)
        for step in self.repeated(self.steps):
            if self.computes_again(step):
                self.memory.free("copies", step.number, "copies")  # where autocast ends
        return self.memory.phase()

    def run_forward(self, step: Step, keeping: bool, besides: int = 0) -> None:
        """One operation: the tensors that it keeps for backward, and the moment at which it runs."""
        n = step.number
        self.memory.keep("copies", n, "copies", step.op.copies)
        if keeping:
            self.keep_for(step)
        there = {n for n in (n - 1, n, *step.held) if n not in self.memory.kept["tensor"]}
        extra = 0 if keeping else step.op.extra  # made all the same, and let go
        self.memory.moment(sum(self.ops[n].out for n in there) + step.op.scratch + extra + besides)

    def backward(self) -> Breakdown:
        """From the loss to the gradients of the weights."""
        given = -1
        for step in self.repeated(reversed(self.steps)):
            if self.computes_again(step) and step.given != given:
                given = step.given
                self.run_again([each for each in self.steps if each.given == given])
            self.run_backward(step)
        return self.memory.phase()

    def run_backward(self, step: Step) -> None:
        """One operation: the moment at which its gradients are computed, and what is freed then.

        Under autocast the gradients of the weights are computed in bfloat16, then copied to float32, which stays.
        """
        op, n, narrow = step.op, step.number, step.op.copies
        if not narrow:
            self.memory.keep("gradients", n, "gradients", self.number * op.weights)
        there = {self.whose[n] for n in (n, n - 1, *step.sums)}
        self.memory.moment(sum(self.gradients[n] for n in there) + narrow + op.scratch_back)
        self.memory.free("extra", n, op.extra_kind)
        self.memory.free("copies", n, "copies")
        self.memory.free("tensor", n, op.kind)
        if self.ops[n - 1].keeps not in ("out", "both"):
            self.memory.free("tensor", n - 1, self.ops[n - 1].kind)
        self.memory.keep("gradients", n, "gradients", self.number * op.weights)
        self.memory.moment(self.gradients[n - 1] + narrow + op.joins)

    def run_again(self, block: list[Step]) -> None:
        """Checkpointing: run a block forward once more, up to the last tensor that backward needs."""
        last = [step for step in block if step.op.keeps or step.op.extra][-1]
        for step in block[: block.index(last)]:
            self.run_forward(step, keeping=True, besides=self.gradients[block[-1].number])
        self.keep_for(last)  # which does not run: backward needs what it reads, not what it writes

    def step(self) -> Breakdown:
        """The optimizer's step: the foreach variant of AdamW holds the square roots of all second moments at once."""
        parameters = sum(step.times * step.op.weights for step in self.steps)
        self.memory.moment(self.number * parameters * (self.run.optimizer == "adamw-foreach"))
        return self.memory.phase()

    def repeated(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The steps, for the caller to walk. Behind those that represent many, the change is multiplied."""
        for times, alike in groupby(steps, key=lambda step: step.times):
            before = dict(self.memory.now)
            yield from alike
            self.memory.repeat(before, times - 1)

    def keep_for(self, step: Step) -> None:
        """Keep the tensors that backward needs for this operation."""
        self.memory.keep("extra", step.number, step.op.extra_kind, step.op.extra)
        if step.op.keeps in ("in", "both"):
            self.keep(step.number - 1)
        if step.op.keeps in ("out", "both"):
            self.keep(step.number)

    def keep(self, n: int) -> None:
        """Keep tensor n."""
        self.memory.keep("tensor", n, self.ops[n].kind, self.ops[n].out)

    def computes_again(self, step: Step) -> bool:
        """Whether the step is in a checkpointed block, which keeps only its input and is computed twice."""
        return self.run.training and self.run.checkpointing and step.given >= 0
