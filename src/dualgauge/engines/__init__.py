"""
Port: engines compute views over the log. DuckDB is the embedded one, and only this room imports it.

Rooms ask for an engine with `open_engine` and speak SQL in DuckDB's dialect to it; results leave as Arrow
or as rows of plain values.
"""
