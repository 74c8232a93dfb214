"""The report of a series: many runs of one comparator, and first of all what changed since the run before."""
