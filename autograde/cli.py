"""Exercises that mark themselves: from a key to the gradebook."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from autograde.commands import COMMANDS, PUBLIC
from autograde.errors import AutogradeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 something is wrong and was named, 2 unusable arguments."""
    options = _parser().parse_args(arguments)
    before = os.umask(0o077)  # marks and answers are nobody else's
    if options.public:
        os.umask(before)
    try:
        return int(options.run(options))
    except AutogradeError as error:
        print(f"autograde: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("autograde: interrupted; what was finished is kept, and the next run goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read this, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # the disk is full, or a file belongs to somebody else
        from autograde.course.file_errors import refused

        print(f"autograde: {refused(error)}", file=sys.stderr)
        return 1
    finally:
        os.umask(before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autograde", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"autograde.commands.{name}")
        text = str(command.__doc__)
        sub = commands.add_parser(name, help=text.splitlines()[0], description=text)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run, public=name in PUBLIC)
    return parser


if __name__ == "__main__":
    sys.exit(main())
