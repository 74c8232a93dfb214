"""Comparisons of a project at one position, kept as evidence."""
