"""View definitions: files, headers, definition hash, and how each view is kept."""
