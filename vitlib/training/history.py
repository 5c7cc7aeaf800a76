"""Chapter 7: the loss, learning rate and accuracies of a training run, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitlib.plotting import Figure

BLUE = "#0072B2"  # of Okabe and Ito's palette, like plotting.ORANGE


@dataclass
class History:
    """Each list has one number for each epoch. `print` it for a table, `plot` it for curves.

    >>> history = History(loss=[2.3, 1.1], lr=[1e-3, 0.0], train_accuracy=[0.1, 0.6], seconds=[1.0, 1.0])
    >>> print(history)
    epoch   loss  learning rate  train  test   seconds
        1  2.300       0.001000  10.0%     -       1.0
        2  1.100       0.000000  60.0%     -       1.0
    """

    loss: list[float] = field(default_factory=list)  # mean over the epoch's steps
    lr: list[float] = field(default_factory=list)  # the head's, at the end of the epoch
    train_accuracy: list[float] = field(default_factory=list)  # 0…1, on the augmented pictures
    # 0…1, after each epoch; with validation pictures a single number, that of the best epoch
    test_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of the epoch, its evaluation included
    valid_accuracy: list[float] = field(default_factory=list)  # 0…1, after each epoch, on validation pictures

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def best(self) -> int:
        """The epoch, from 1, whose weights the model keeps: the one with the best validation accuracy, or the last."""
        best = max(self.valid_accuracy, default=0.0)
        return max((i for i, each in enumerate(self.valid_accuracy, start=1) if each == best), default=len(self))

    @property
    def _measured(self) -> tuple[str, list[float]]:
        return ("valid", self.valid_accuracy) if self.valid_accuracy else ("test", self.test_accuracy)

    def __str__(self) -> str:
        name, measured = self._measured
        tests = [f"{each:.1%}" for each in measured] or ["-"] * len(self)
        rows = zip(self.loss, self.lr, self.train_accuracy, tests, self.seconds, strict=True)
        lines = [f"epoch   loss  learning rate  train {name:>5}   seconds"]
        lines += [
            f"{epoch:5d} {loss:6.3f} {lr:14.6f} {train:>6.1%} {test:>5} {seconds:9.1f}"
            for epoch, (loss, lr, train, test, seconds) in enumerate(rows, start=1)
        ]
        if self.valid_accuracy:
            once = f", test {self.test_accuracy[0]:.1%}" if self.test_accuracy else ""
            lines.append(f"best epoch: {self.best}{once}")
        return "\n".join(lines)

    def plot(self) -> Figure:
        """Loss, accuracy and learning rate over the epochs.

        Errors: ValueError for a history without an epoch.
        """
        from vitlib.plotting import ORANGE, WIDTH, Figure  # imports matplotlib, which training does not need

        if not self.loss:
            raise ValueError("the history is empty: nothing to plot before the first epoch")
        epochs = range(1, len(self) + 1)
        figure = Figure(figsize=(1.5 * WIDTH, 0.45 * WIDTH), layout="constrained")
        loss, accuracy, rate = figure.subplots(1, 3)
        loss.plot(epochs, self.loss, color=BLUE, marker=".")
        accuracy.plot(epochs, self.train_accuracy, color=BLUE, marker=".", label="train")
        name, measured = self._measured
        if measured:
            accuracy.plot(epochs, measured, color=ORANGE, marker="s", markersize=3, label=name)
        accuracy.legend(loc="lower right")
        rate.plot(epochs, self.lr, color=BLUE, marker=".")
        for axes, title in ((loss, "loss (nats)"), (accuracy, "accuracy"), (rate, "learning rate")):
            axes.set_title(title)
            axes.set_xlabel("epoch")
        accuracy.set_ylim(0, 1.02)
        figure.description = self._description()
        return figure

    def _description(self) -> str:
        name, measured = self._measured
        tests = f", {name} {measured[0]:.1%} to {measured[-1]:.1%}" if measured else ""
        return (
            f"Curves over {len(self)} epochs: loss {self.loss[0]:.2f} to {self.loss[-1]:.2f}, accuracy in training "
            f"{self.train_accuracy[0]:.1%} to {self.train_accuracy[-1]:.1%}{tests}."
        )
