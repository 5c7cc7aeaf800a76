"""Settings of a course that nbgrader does not know: `c.Limits`, `c.Release`, `c.Report` in nbgrader_config.py."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from traitlets.config import Config, PyFileConfigLoader

from autograde.authoring.key import nearest
from autograde.authoring.sheet import FEEDBACK
from autograde.errors import AutogradeError

CONFIG_FILE = "nbgrader_config.py"

Settings = TypeVar("Settings")


class CourseError(AutogradeError):
    """Something about the course that its teacher can fix."""


@dataclass(frozen=True)
class Release:
    """How chapters are released: `c.Release` in nbgrader_config.py."""

    variants: bool = False  # every student gets numbers of their own
    feedback: str = "full"  # "check": no worked solutions; "form": no answer hashes either

    def __post_init__(self) -> None:
        if not isinstance(self.variants, bool):
            raise ValueError(f"variants is {self.variants!r}: expected True or False")
        if self.feedback not in FEEDBACK:
            raise ValueError(f"feedback is {self.feedback!r}: expected one of {', '.join(FEEDBACK)}")


@dataclass(frozen=True)
class Report:
    """The class report: `c.Report` in nbgrader_config.py."""

    formgrader: str = "http://localhost:8888/formgrader"  # its address, for the report's links

    def __post_init__(self) -> None:
        if not isinstance(self.formgrader, str) or not self.formgrader.startswith(("http://", "https://", "/")):
            raise ValueError(f"formgrader is {self.formgrader!r}: expected an address, such as {Report.formgrader}")


def read_config(folder: Path) -> Config:
    """What nbgrader_config.py in `folder` sets.

    Raises:
        CourseError: it is Python that fails; the text names the line.
    """
    try:
        config: Config = PyFileConfigLoader(CONFIG_FILE, str(folder)).load_config()
    except Exception as error:  # whatever the file raises
        if isinstance(error, SyntaxError):
            line, reason = error.lineno, error.msg
        else:
            frames = traceback.extract_tb(error.__traceback__)
            line = next((frame.lineno for frame in reversed(frames) if frame.filename.endswith(CONFIG_FILE)), None)
            reason = str(error)
        raise CourseError(f"{CONFIG_FILE}, line {line}: {type(error).__name__}: {reason}") from None
    return config


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
