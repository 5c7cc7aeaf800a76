"""An exercise in words: what stands above an answer cell."""

from __future__ import annotations

from autograde.exercises import Choice, Exercise, Numeric, TrueFalse


def heading(exercise: Exercise, number: int) -> str:
    """Number, title, stars, minutes and points."""
    stars = "★" * exercise.difficulty + "☆" * (3 - exercise.difficulty)
    points = f"{exercise.points:g} point{'s' * (exercise.points != 1)}"
    return f"### Exercise {number} · {exercise.title}\n\n{stars} · {exercise.minutes} min · {points}"


def question(exercise: Exercise) -> str:
    """The question, its options, the form of the answer, and hints that unfold."""
    parts = [exercise.fill(exercise.prompt).strip()]
    if isinstance(exercise, Choice):
        parts.append("\n".join(f"{n}. {text}" for n, text in enumerate(exercise.options, start=1)))
    parts.append(_how_to_answer(exercise))
    for n, hint in enumerate(exercise.hints, start=1):
        parts.append(f"<details><summary>Hint {n}</summary>\n\n{exercise.fill(hint).strip()}\n\n</details>")
    return "\n\n".join(parts)


def _how_to_answer(exercise: Exercise) -> str:
    match exercise:
        case TrueFalse():
            return "*Answer 1 for true, 0 for false.*"
        case Choice():
            return "*Answer with the number of one option.*"
        case Numeric(decimals=None):
            return f"*Answer with a whole number{f' of {exercise.unit}' if exercise.unit else ''}.*"
        case Numeric(decimals=int(decimals)):
            unit = f" of {exercise.unit}" if exercise.unit else ""
            return f"*Answer with a number{unit}, to {decimals} decimal place{'s' * (decimals > 1)}.*"
    return "*Write the function; the cell below tries it on examples, grading on others too.*"
