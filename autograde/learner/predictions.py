"""Predict, then run: a learner's guess compared with the result."""

from typing import Any


def compare(guess: Any, found: Any) -> None:
    """Compare a prediction with the result; a tuple or a tensor counts as the list of its numbers.

    >>> compare(..., 65)
    Found: 65. No guess yet: replace the dots above, and run both cells again.
    >>> compare(65, 65)
    Found: 65, just as you said.
    >>> compare(64, 65)
    Found: 65. You said 64. Good: now there is something to explain.
    >>> compare("65", 65)
    Found: 65. You said '65', a text: write it without quotes, and run both cells again.
    """
    if guess is ...:
        print(f"Found: {found}. No guess yet: replace the dots above, and run both cells again.")
    elif _plain(guess) == _plain(found):
        print(f"Found: {found}, just as you said.")
    elif isinstance(guess, str) and not isinstance(found, str):
        print(f"Found: {found}. You said {guess!r}, a text: write it without quotes, and run both cells again.")
    else:
        print(f"Found: {found}. You said {guess}. Good: now there is something to explain.")


def _plain(value: Any) -> Any:
    """What two spellings of one guess have in common: [1, 2] for (1, 2), 65 for a tensor of it, "keep" for "Keep"."""
    if hasattr(value, "tolist"):  # an array or a tensor
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.strip().lower() if isinstance(value, str) else value
