"""What can be mended by whoever runs a command."""


class AutogradeError(Exception):
    """The text says in one line what is wrong and how to mend it; the command line shows it without a traceback."""
