"""Whether the log is what was written: its chain of digests, its contents, and how small files are merged."""
