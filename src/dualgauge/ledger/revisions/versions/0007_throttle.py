"""
The throttle: how many events a second a tail may read at most, changed while it runs.

Nothing else is read otherwise, so whoever knows the revision 0005 can go on reading.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "throttle",
        sa.Column("migration", sa.Text, primary_key=True),
        sa.Column("events_per_second", sa.BigInteger, nullable=False),
        # The version may have been set back by hand; who throttles says so again.
        if_not_exists=True,
    )
    op.execute(READABLE_FROM.insert().values(revision="0007", reader="0005"))


def downgrade() -> None:
    """Forget it: for development; dualgauge itself never goes back."""
    op.drop_table("throttle")
    op.execute(READABLE_FROM.delete().where(READABLE_FROM.c.revision == "0007"))
