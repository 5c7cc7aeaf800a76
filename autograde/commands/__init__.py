"""What each command of `autograde` does, one file a command."""
