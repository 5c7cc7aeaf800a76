"""Chapter 7: training, fine-tuning, evaluation and prediction; memory of a step, and snapshots of a run."""
