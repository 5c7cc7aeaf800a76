"""Predict, then run: a learner's guess compared with the result."""

from typing import Any


def compare(guess: Any, found: Any) -> None:
    """Compare a prediction with the result.

    >>> compare(..., 65)
    Found: 65. No guess yet: replace the dots above, and run both cells again.
    >>> compare(65, 65)
    Found: 65, just as you said.
    >>> compare(64, 65)
    Found: 65. You said 64. Good: now there is something to explain.
    """
    if guess is ...:
        print(f"Found: {found}. No guess yet: replace the dots above, and run both cells again.")
    elif guess == found:
        print(f"Found: {found}, just as you said.")
    else:
        print(f"Found: {found}. You said {guess}. Good: now there is something to explain.")
