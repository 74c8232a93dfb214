"""A source proposed from a file that was looked at."""
