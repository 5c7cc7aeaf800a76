"""Chapters 1 to 5: the plain Vision Transformer. Read patches, embed, positions, attention, encoder, head, model."""
