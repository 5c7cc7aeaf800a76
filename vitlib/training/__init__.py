"""Chapter 7: train, fine-tune and ask a model; what a step needs, and what is kept of it."""
