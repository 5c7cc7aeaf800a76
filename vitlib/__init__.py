"""vitlib: a Vision Transformer to read, chapter by chapter. Each module is the code of one chapter.

Nothing is imported here, so that `import vitlib` costs nothing: ask for the module you need, as in
`from vitlib.patches import PatchGrid`.
"""
