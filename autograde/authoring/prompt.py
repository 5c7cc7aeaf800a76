"""An exercise in words: what stands above an answer cell."""

from __future__ import annotations

from autograde.exercises import Exercise


def heading(exercise: Exercise, number: int) -> str:
    """Number, title, stars, minutes and points."""
    stars = "★" * exercise.difficulty + "☆" * (3 - exercise.difficulty)
    unit = f"{'bonus ' * exercise.bonus}point{'s' * (exercise.points != 1)}"
    points = f"{exercise.points:g} {unit}" if exercise.points else "practice, no points"
    return f"### Exercise {number} · {exercise.title}\n\n{stars} · {exercise.minutes} min · {points}"


def question(exercise: Exercise) -> str:
    """The question, its options, the form of the answer, and hints that unfold."""
    parts = [exercise.fill(exercise.prompt).strip(), exercise.body(), f"*{exercise.instruction()}*"]
    for n, hint in enumerate(exercise.hints or (), start=1):
        parts.append(f"<details><summary>Hint {n}</summary>\n\n{exercise.fill(hint).strip()}\n\n</details>")
    return "\n\n".join(filter(None, parts))
