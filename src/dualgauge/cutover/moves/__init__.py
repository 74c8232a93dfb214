"""The one table of moves, and the moves themselves."""
