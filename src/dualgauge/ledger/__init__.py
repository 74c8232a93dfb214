"""
Port: dualgauge's own database, with migrations, their journal, evidence, and the mirror of the log's digest chain.

SQLite by default; PostgreSQL with the same code. Only this room knows its tables: others open a `Ledger`
and get frozen values. Alembic is loaded when a ledger is created or upgraded, never by a reader.
"""
