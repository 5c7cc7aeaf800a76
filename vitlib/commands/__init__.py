"""What `python -m vitlib` does: a file for each command, and the report that fine-tuning writes."""
