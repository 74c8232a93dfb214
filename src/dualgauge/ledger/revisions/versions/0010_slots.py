"""
Schedules: the times at which each was due, who ran it, and what came of it.

Routing goes by none of it, so whoever knows the revision 0008 can go on reading.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the tables."""
    # The version may have been set back by hand; what was run stays.
    op.create_table(
        "schedule",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("migration", "schedule")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("timetable", "laid_until")),
        *(sa.Column(name, sa.Text) for name in ("paused_by", "paused_at", "pause_reason")),
        if_not_exists=True,
    )
    op.create_table(
        "slot",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("migration", "schedule", "due")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("state", "holder", "why")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("epoch", "deaths")),
        sa.Column("exit_code", sa.BigInteger),
        *(sa.Column(name, sa.Text) for name in ("lease_until", "began", "ended")),
        if_not_exists=True,
    )
    op.execute(READABLE_FROM.insert().values(revision="0010", reader="0008"))


def downgrade() -> None:
    """Forget them: for development; dualgauge itself never goes back."""
    for name in ("slot", "schedule"):
        op.drop_table(name)
    op.execute(READABLE_FROM.delete().where(READABLE_FROM.c.revision == "0010"))
