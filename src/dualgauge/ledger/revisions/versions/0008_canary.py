"""
Kills, and the canary.yaml in force: what routing goes by beside stage and share.

A reader that does not know them would go on sending reads to v2 after a kill, so none but this revision's may read.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "canary",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        # The version may have been set back by hand; what was applied is in the journal.
        if_not_exists=True,
    )
    op.create_table(
        "routing",
        sa.Column("migration", sa.Text, primary_key=True),
        sa.Column("killed", sa.BigInteger, nullable=False),
        sa.Column("canary", sa.String(64), nullable=False),
        if_not_exists=True,
    )
    op.execute(READABLE_FROM.insert().values(revision="0008", reader="0008"))


def downgrade() -> None:
    """Forget them: for development; dualgauge itself never goes back."""
    op.drop_table("routing")
    op.drop_table("canary")
    op.execute(READABLE_FROM.delete().where(READABLE_FROM.c.revision == "0008"))
