"""
Evidence is sealed in the journal from here on.

Runs that were finished before have no seal, and none is made for them now: it would vouch for what nobody watched.
They are set apart as `unsealed`, so that a finished run without a seal can only be one that was put in by hand.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EVIDENCE = sa.table("evidence", sa.column("state", sa.Text))


def upgrade() -> None:
    """Set the finished runs apart."""
    op.execute(EVIDENCE.update().where(EVIDENCE.c.state == "finished").values(state="unsealed"))


def downgrade() -> None:
    """Call them finished again: for development; dualgauge itself never goes back."""
    op.execute(EVIDENCE.update().where(EVIDENCE.c.state == "unsealed").values(state="finished"))
