"""The comparison of two relations, in DuckDB."""
