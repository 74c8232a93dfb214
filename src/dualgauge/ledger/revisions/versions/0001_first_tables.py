"""The first tables: migrations, their journal, evidence, and the mirror of the log's digest chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "migration",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("share_ppm", sa.BigInteger, nullable=False),
        sa.Column("rollout", sa.Text, nullable=False, server_default="v2"),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.Text, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("operation_id", sa.Text, nullable=False, unique=True),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("row", sa.Text, nullable=False),
    )
    op.create_table(
        "evidence",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("evidence_key", sa.String(64), nullable=False, index=True),
        sa.Column("bound", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("verdict", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("summary", sa.Text),
        sa.Column("folder", sa.Text),
    )
    op.create_table(
        "log_commit",
        sa.Column("last", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Remove them again: for development; dualgauge itself never goes back."""
    for table in ("log_commit", "evidence", "journal", "migration"):
        op.drop_table(table)
