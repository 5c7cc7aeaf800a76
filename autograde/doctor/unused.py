"""Settings of nbgrader_config.py that nobody reads: traitlets takes any name without a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from nbgrader.apps import NbGraderApp
from nbgrader.exchange import default
from traitlets.config import Config, LazyConfigValue
from traitlets.utils.importstring import import_item

from autograde.course.settings import CONFIG_FILE, Release, Report
from autograde.doctor import Finding
from autograde.engine.limits import Limits

# Whose settings JupyterLab and nbgrader's parts of it read from the same file
_JUPYTER = {"FormgradeExtension", "ServerApp", "LabApp", "IdentityProvider", "NotebookApp", "JupyterApp"}


def unused(config: Config) -> Iterator[Finding]:
    known = _known(config)
    for section, settings in config.items():
        if section in _JUPYTER or not isinstance(settings, dict):
            continue
        if section not in known:
            yield Finding(f"{CONFIG_FILE} sets c.{section}, which nothing reads", _mend(section, list(known)))
            continue
        for name in settings:
            if name not in known[section]:
                what = f"{CONFIG_FILE} sets c.{section}.{name}, which nothing reads"
                yield Finding(what, _mend(name, sorted(known[section])))


def _known(config: Config) -> dict[str, set[str]]:
    """Every class that reads settings, with their names."""
    exchange = [kind for kind in vars(default).values() if isinstance(kind, type) and _is_set(kind)]
    classes: list[Any] = [*NbGraderApp().all_configurable_classes(), *exchange, *_named_in(config)]
    kinds = {kind for one in classes for kind in one.mro() if _is_set(kind)}
    known: dict[str, set[str]] = {}
    for kind in kinds:  # nbgrader has two of the name Exchange
        known.setdefault(kind.__name__, set()).update(kind.class_trait_names(config=True))
    return known | {kind.__name__: {field.name for field in fields(kind)} for kind in (Limits, Release, Report)}


def _is_set(kind: Any) -> bool:
    return hasattr(kind, "class_trait_names")


def _named_in(config: Config) -> Iterator[Any]:
    """The classes that the configuration itself puts to work, as classes or by their full names."""
    for settings in config.values():
        for value in settings.values() if isinstance(settings, dict) else ():
            if isinstance(value, LazyConfigValue):
                continue
            for one in value if isinstance(value, list | tuple) else [value]:
                kind = _imported(one) if isinstance(one, str) else one
                if isinstance(kind, type) and _is_set(kind):
                    yield kind


def _imported(name: str) -> Any:
    """What a full name stands for; None where it is not the name of a class."""
    if not re.fullmatch(r"(?:[a-z_]\w*\.)+[A-Z]\w*", name):
        return None
    try:
        return import_item(name)
    except ImportError:
        return None


def _mend(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"write {close[0]}" if close else f"take {name} out"
