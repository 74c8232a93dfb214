"""
The outbox: what news is told of, each piece of news, and for each channel whether it was delivered.

Routing goes by none of it, so whoever knows the revision 0008 can go on reading.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the tables."""
    # The version may have been set back by hand; what was told stays.
    op.create_table(
        "subject",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("migration", "subject")),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("state", "cause", "since", "changed", "message", "channels")
        ),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("number", "base", "wait")),
        *(sa.Column(name, sa.Text) for name in ("remind_at", "ack_by", "ack_reason", "ack_until")),
        if_not_exists=True,
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.String(32), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("migration", "subject")),
        sa.Column("number", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "at", "message")),
        if_not_exists=True,
    )
    op.create_table(
        "delivery",
        sa.Column("notice", sa.String(32), primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("migration", "state", "holder", "answer", "next_try")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("tries", "epoch")),
        sa.Column("code", sa.BigInteger),
        *(sa.Column(name, sa.Text) for name in ("lease_until", "ended")),
        if_not_exists=True,
    )
    op.create_table(
        "progress",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("migration", "schedule")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("position", "head")),
        if_not_exists=True,
    )
    op.execute(READABLE_FROM.insert().values(revision="0011", reader="0008"))


def downgrade() -> None:
    """Forget them: for development; dualgauge itself never goes back."""
    for name in ("progress", "delivery", "notice", "subject"):
        op.drop_table(name)
    op.execute(READABLE_FROM.delete().where(READABLE_FROM.c.revision == "0011"))
