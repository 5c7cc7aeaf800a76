"""From a submission's bytes to graded bytes: repair, run, mark, on every core."""
