"""
The line that a row of the quarantine stands on, and how it was read: what is needed to read its text again.

The types of a file's columns are guessed from all of its rows. A row that is read again by itself must have the types
that its file had, or `007` would become 7.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; rows of before have neither."""
    op.add_column("quarantine", sa.Column("line", sa.BigInteger))
    op.add_column("quarantine", sa.Column("read_as", sa.Text))


def downgrade() -> None:
    """Forget them: for development; dualgauge itself never goes back."""
    op.drop_column("quarantine", "read_as")
    op.drop_column("quarantine", "line")
