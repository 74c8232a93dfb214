"""Checks, asked by Great Expectations."""
