"""SQLite as a serving store. `points` (reads of one row) is kept apart from bulk work."""
