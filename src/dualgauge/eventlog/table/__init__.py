"""The log as a Delta table: its files, its commits, its one order."""
