"""Pictures to learn from: the bundled ones, your own folders, and published data sets."""
