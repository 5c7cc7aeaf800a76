"""The walk: through the list of operations and back, as the allocator would, for the peak of each phase.

Forward, each operation adds what it keeps to what is kept already. While it runs, what it reads and writes is there
too, and what the functions around it hold. Backward, each operation frees what it kept and leaves its weights'
gradients; while it runs, the gradients of what it wrote and of what it read are there.

Blocks that are alike, one after another, change memory alike. What is kept then grows or shrinks evenly, so the peak is
in the first of them or in the last, and one is walked for all between.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Literal, NamedTuple, get_args

from vitlib.cost.ops import Call, Op, Ops, flat
from vitlib.cost.run import Breakdown, Kind, Run

What = Literal["tensor", "extra", "copies", "gradients"]  # what can be kept of an operation


def peaks(ops: Ops, run: Run, lasting: Breakdown) -> dict[str, Breakdown]:
    """What memory holds at the peak of each phase; `lasting` is what it holds all the time."""
    walk = Walk(ops, run, lasting)
    if not run.training:
        return {"inference": walk.forward()}
    return {"forward": walk.forward(), "backward": walk.backward(), "step": walk.step()}


class Step(NamedTuple):
    """An operation in its place. Tensors have numbers: 0 are the pictures, n is what the n-th operation writes."""

    op: Op
    number: int  # of the tensor that it writes; it reads the one before
    held: tuple[int, ...]  # tensors that the calls around it were given
    sums: tuple[int, ...]  # what the residual branches around it end in; backward, the gradients of these wait
    given: int  # the tensor that the encoder block around it was given; −1 where there is none
    times: int  # how many it stands for


def steps(ops: Ops) -> list[Step]:
    """The operations in order, each in its place."""
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
    """Each with how many it stands for. Where calls repeat, the third round stands for all up to the last but one.

    The first two and the last are walked for themselves: what stands around them, on the way there or back, differs.
    """
    start = 0
    while start < len(ops):
        size, times = next(((size, n) for size in (1, 2) if (n := rounds(ops, start, size)) > 4), (1, 1))
        for alike in (1, 1, times - 3, 1) if times > 1 else (1,):
            yield from ((each, alike) for each in ops[start : start + size])
        start += size * times


def rounds(ops: Ops, start: int, size: int) -> int:
    """How often the next so many calls come, one time after another; every second block of a Swin is like the first."""
    times = 1
    while ops[start : start + size] == ops[start + times * size : start + (times + 1) * size]:
        times += 1
    return times


class Memory:
    """What is kept, and the most that there was at once. Bytes."""

    def __init__(self, lasting: Breakdown) -> None:
        self.now: dict[str, int] = asdict(lasting)
        self.kept: dict[What, dict[int, int]] = {what: {} for what in get_args(What)}  # bytes, by number
        self.total = lasting.total
        self.top, self.peak = 0, self.now

    def keep(self, what: What, which: int, kind: Kind, size: int) -> None:
        """From now on this is kept; what is kept already is not kept twice."""
        if size and which not in self.kept[what]:
            self.kept[what][which] = size
            self.now[kind] += size
            self.total += size

    def free(self, what: What, which: int, kind: Kind) -> None:
        """No longer kept, if it was."""
        size = self.kept[what].pop(which, 0)
        self.now[kind] -= size
        self.total -= size

    def repeat(self, before: dict[str, int], times: int) -> None:
        """All that has changed since then changes so many times more."""
        for kind, size in self.now.items():
            self.now[kind] += times * (size - before[kind])
        self.total = sum(self.now.values())

    def moment(self, temporary: int) -> None:
        """A moment at which there are so many bytes besides: is it the peak?"""
        if self.total + temporary > self.top:
            self.top = self.total + temporary
            self.peak = self.now | {"temporary": temporary}

    def phase(self) -> Breakdown:
        """The peak since the last phase ended."""
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
        """One operation: what it keeps from now on, and the moment at which it runs."""
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
        """One operation: the moment at which its gradients are made, and what is freed then.

        Autocast makes the weights' gradients in bfloat16, and from these, a moment later, the ones that stay.
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
        """Checkpointing: forward through a block once more, as far as backward needs it."""
        last = [step for step in block if step.op.keeps or step.op.extra][-1]
        for step in block[: block.index(last)]:
            self.run_forward(step, keeping=True, besides=self.gradients[block[-1].number])
        self.keep_for(last)  # which does not run: backward needs what it reads, not what it writes

    def step(self) -> Breakdown:
        """The optimizer's: AdamW of the foreach kind takes the roots of all its averages at once."""
        parameters = sum(step.times * step.op.weights for step in self.steps)
        self.memory.moment(self.number * parameters * (self.run.optimizer == "adamw-foreach"))
        return self.memory.phase()

    def repeated(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The steps, while the caller walks them. After those that stand for many, memory is as it were after all."""
        for times, alike in groupby(steps, key=lambda step: step.times):
            before = dict(self.memory.now)
            yield from alike
            self.memory.repeat(before, times - 1)

    def keep_for(self, step: Step) -> None:
        """What backward needs of an operation."""
        self.memory.keep("extra", step.number, step.op.extra_kind, step.op.extra)
        if step.op.keeps in ("in", "both"):
            self.keep(step.number - 1)
        if step.op.keeps in ("out", "both"):
            self.keep(step.number)

    def keep(self, n: int) -> None:
        """Tensor n."""
        self.memory.keep("tensor", n, self.ops[n].kind, self.ops[n].out)

    def computes_again(self, step: Step) -> bool:
        """Whether it is in a block that keeps its input alone."""
        return self.run.training and self.run.checkpointing and step.given >= 0
