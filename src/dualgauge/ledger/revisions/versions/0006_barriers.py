"""
Barriers: at which position a tail is asked to hold a side, until the asker has opened its snapshot of it.

Nothing else is read otherwise, so whoever knows the revision before can go on reading.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "barrier",
        sa.Column("migration", sa.Text, primary_key=True),
        sa.Column("side", sa.Text, primary_key=True),
        sa.Column("asker", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Text, nullable=False),
        # The version may have been set back by hand; what stands in the table is over in seconds.
        if_not_exists=True,
    )
    op.execute(READABLE_FROM.insert().values(revision="0006", reader="0005"))


def downgrade() -> None:
    """Forget it: for development; dualgauge itself never goes back."""
    op.drop_table("barrier")
    op.execute(READABLE_FROM.delete().where(READABLE_FROM.c.revision == "0006"))
