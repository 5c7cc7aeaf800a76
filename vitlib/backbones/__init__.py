"""Chapter 8: Swin, ConvNeXt and hybrids, and cheaper attention for a ViT that is there."""
