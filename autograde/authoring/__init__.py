"""From a key to a notebook: how a chapter's exercises become its cells."""
