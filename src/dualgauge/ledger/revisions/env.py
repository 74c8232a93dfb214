"""Runs the ledger's revisions on the connection that `dualgauge.ledger.upgrade` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from dualgauge.ledger.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    # The caller's transaction holds the write lock and commits tables and version together; without this,
    # alembic takes SQLite's DDL for non-transactional.
    transactional_ddl=True,
)

with context.begin_transaction():
    context.run_migrations()
