"""vitlib: a Vision Transformer to read, chapter by chapter. Each module is the code of one chapter.

>>> import vitlib
>>> model = vitlib.create("vit_tiny_patch16_224", num_classes=10)

Everything else is imported from its module, as in `from vitlib.vit.patches import PatchGrid`.
"""

from vitlib.models import create, list_models

__all__ = ["create", "list_models"]
