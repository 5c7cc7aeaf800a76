"""Errors that the user of a command can fix."""


class AutogradeError(Exception):
    """The text says in one line what is wrong and how to fix it; the command line shows it without a traceback."""
