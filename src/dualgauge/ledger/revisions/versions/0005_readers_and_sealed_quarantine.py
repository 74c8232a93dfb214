"""
Who can still read a ledger, and the quarantine's seals.

Each revision says from which revision on a reader understands it, so that a later one locks out nobody without need.

Each row of the quarantine has a seal, and the journal a row for each change with a digest over all of them. Rows of
before are sealed here as they are: the row of the journal says that the upgrade did it, and when.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (
    "id", "kind", "source", "place", "row", "reason", "raw", "state", "found_at", "changed_at", "line", "read_as",
)  # fmt: skip

JOURNAL = sa.table("journal", *(sa.column(name) for name in ("seq", "operation_id", "previous", "digest", "row")))
QUARANTINE = sa.table("quarantine", *(sa.column(name) for name in COLUMNS))
SEAL = sa.table("quarantine_seal", sa.column("id"), sa.column("seal"))
READABLE_FROM = sa.table("readable_from", sa.column("revision"), sa.column("reader"))


def upgrade() -> None:
    """Make the tables, and seal the rows that are there."""
    op.create_table(
        "readable_from",
        sa.Column("revision", sa.String(32), primary_key=True),
        sa.Column("reader", sa.String(32), nullable=False),
    )
    op.execute(READABLE_FROM.insert().values(revision="0005", reader="0005"))
    op.create_table(
        "quarantine_seal",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("seal", sa.String(64), nullable=False),
    )
    _seal(op.get_bind())


def downgrade() -> None:
    """Forget both, and keep the journal as it is: for development; dualgauge itself never goes back."""
    op.drop_table("quarantine_seal")
    op.drop_table("readable_from")


def _seal(connection: sa.Connection) -> None:
    # Written out here, as it was at this revision: what the code of a later one does is another matter.
    rows = [dict(row) for row in connection.execute(sa.select(QUARANTINE)).mappings()]
    if not rows:
        return
    seals = [(row["id"], _digest(_json([1, row]))) for row in rows]
    connection.execute(SEAL.insert(), [{"id": name, "seal": seal} for name, seal in seals])
    if connection.scalar(sa.select(sa.func.count()).where(JOURNAL.c.row.like('%"row":"quarantine"%'))):
        # The quarantine was sealed before, and the version set back by hand: what the journal says of it stands.
        return
    newest = sa.select(JOURNAL.c.seq, JOURNAL.c.digest).order_by(JOURNAL.c.seq.desc()).limit(1)
    seq, previous = connection.execute(newest).first() or (0, "0" * 64)
    operation_id = f"quarantine:{seq + 1}"
    row = _json(
        {
            "at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "change": "upgraded",
            "migration": "",
            "operation_id": operation_id,
            "row": "quarantine",
            "rows": len(rows),
            "seal": _digest("[" + ",".join(sorted(_json(pair) for pair in seals)) + "]"),
            "seq": seq + 1,
            "waiting": sum(row["state"] == "waiting" for row in rows),
            "who": "dualgauge (upgrade to revision 0005)",
        }
    )
    connection.execute(
        JOURNAL.insert().values(
            seq=seq + 1, operation_id=operation_id, previous=previous, digest=_digest(previous + row), row=row
        )
    )


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=bytes.hex)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
