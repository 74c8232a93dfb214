"""
The log's digest chain by its links, and the quarantine.

A compaction adds links to the chain without moving the log's last position, so a link's place is that position and a
step behind it. Rows that do not fit into the log are kept until somebody takes them in or skips them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OLD = ("first", "last", "rows", "digest", "chain")


def upgrade() -> None:
    """Keep what is known of the chain, by the new key."""
    op.create_table(
        "log_link",
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
    )
    old = sa.table("log_commit", *(sa.column(name) for name in OLD))
    new = sa.table("log_link", *(sa.column(name) for name in ("at", "step", *OLD)))
    kept = sa.select(old.c.last, sa.literal(0), *(old.c[name] for name in OLD))
    op.execute(new.insert().from_select(["at", "step", *OLD], kept))
    op.drop_table("log_commit")
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("row", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("found_at", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Text),
    )


def downgrade() -> None:
    """Go back to the appends alone: for development; dualgauge itself never goes back."""
    op.drop_table("quarantine")
    op.create_table(
        "log_commit",
        sa.Column("last", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
    )
    new = sa.table("log_link", *(sa.column(name) for name in ("step", *OLD)))
    old = sa.table("log_commit", *(sa.column(name) for name in OLD))
    kept = sa.select(*(new.c[name] for name in OLD)).where(new.c.step == 0)
    op.execute(old.insert().from_select(list(OLD), kept))
    op.drop_table("log_link")
