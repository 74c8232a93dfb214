"""From sources into the log: one run, its order, and the rows that do not fit."""
