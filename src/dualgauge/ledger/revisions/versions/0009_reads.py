"""
What reads came to: counts, the different reads that were judged, and samples of those that differed.

Routing goes by none of it, so whoever knows the revision 0008 can go on reading.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the tables."""
    # The version may have been set back by hand; what was counted stays.
    op.create_table(
        "read_basis",
        *_key("migration", "view"),
        sa.Column("evidence_key", sa.String(64), nullable=False),
        sa.Column("bound", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "read_count",
        *_key("migration", "evidence_key", "view"),
        sa.Column("share_ppm", sa.BigInteger, primary_key=True, autoincrement=False),
        *_key("kind", "side", "outcome", "since"),
        sa.Column("reads", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "read_key",
        *_key("migration", "evidence_key", "view"),
        sa.Column("share_ppm", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("read_hash", sa.String(64), primary_key=True),
        sa.Column("bad", sa.BigInteger, nullable=False),
        sa.Column("bad_later", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "read_sample",
        *_key("migration", "evidence_key", "view"),
        sa.Column("share_ppm", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("read_hash", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("outcome", "at", "columns", "v1", "v2")),
        if_not_exists=True,
    )
    op.create_table(
        "read_pair",
        *_key("migration", "evidence_key", "view"),
        sa.Column("share_ppm", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("read_hash", sa.String(64), primary_key=True),
        sa.Column("answers", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("at", "v1", "v2", "verdict")),
        if_not_exists=True,
    )
    op.create_table(
        "read_writer",
        sa.Column("writer", sa.String(32), primary_key=True),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.execute(READABLE_FROM.insert().values(revision="0009", reader="0008"))


def downgrade() -> None:
    """Forget them: for development; dualgauge itself never goes back."""
    for name in ("read_writer", "read_pair", "read_sample", "read_key", "read_count", "read_basis"):
        op.drop_table(name)
    op.execute(READABLE_FROM.delete().where(READABLE_FROM.c.revision == "0009"))


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]
