"""Settings of a course that nbgrader does not know: `c.Limits` and `c.Release` in nbgrader_config.py."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

from traitlets.config import Config

from autograde.authoring.key import nearest
from autograde.errors import AutogradeError

CONFIG_FILE = "nbgrader_config.py"
FEEDBACK = ("full", "form")

Settings = TypeVar("Settings")


class CourseError(AutogradeError):
    """Something about the course that its teacher can mend."""


@dataclass(frozen=True)
class Release:
    """How chapters are released: `c.Release` in nbgrader_config.py."""

    variants: bool = False  # every student gets numbers of their own
    feedback: str = "full"  # or "form": answer hashes are left out, `check` looks at the form of an answer only

    def __post_init__(self) -> None:
        if not isinstance(self.variants, bool):
            raise ValueError(f"variants is {self.variants!r}: expected True or False")
        if self.feedback not in FEEDBACK:
            raise ValueError(f"feedback is {self.feedback!r}: expected one of {', '.join(FEEDBACK)}")


def read_settings(config: Config, kind: type[Settings], **fallback: Any) -> Settings:
    """The settings of one kind: what nbgrader_config.py says, else the `fallback`, else the defaults.

    Raises:
        CourseError: a name is unknown, or a value is invalid.
    """
    name = kind.__name__
    chosen, known = config.get(name, {}), [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for setting in chosen:
        if setting not in known:
            raise CourseError(f"{CONFIG_FILE} sets c.{name}.{setting}, an unknown setting{nearest(setting, known)}")
    try:
        return kind(**{**fallback, **chosen})
    except ValueError as error:
        raise CourseError(f"{CONFIG_FILE}: c.{name}.{error}") from None
