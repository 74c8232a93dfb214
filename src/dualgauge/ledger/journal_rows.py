"""The journal's rows in the database: read, found, and put at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from dualgauge.ledger.errors import NotKept
from dualgauge.ledger.journal import FIRST_PREVIOUS, JournalRow, QuarantineEntry, RowKind
from dualgauge.ledger.tables import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy.engine import Connection, CursorResult


def all_rows(connection: Connection) -> Sequence[Sequence[Any]]:
    """Every row as a tuple in the order of the table's columns, the oldest first."""
    return plain(connection.execute(select(JOURNAL).order_by(JOURNAL.c.seq)))


def plain(found: CursorResult[Any]) -> Sequence[Sequence[Any]]:
    """
    All rows of texts and whole numbers, as the driver's tuples.

    Of thousands of rows SQLAlchemy's own are half as many objects again, and the garbage collector looks at each.
    """
    rows: Sequence[Sequence[Any]] = found.cursor.fetchall()
    found.close()
    return rows


def operation(connection: Connection, operation_id: str) -> JournalRow | None:
    """The row that an operation wrote, or None."""
    row = connection.execute(select(JOURNAL).where(JOURNAL.c.operation_id == operation_id)).first()
    return JournalRow(*row) if row else None


def last_quarantine(connection: Connection) -> tuple[int, QuarantineEntry] | None:
    """The last change of the quarantine, with its row's number; None without any."""
    mine = select(JOURNAL).where(JOURNAL.c.operation_id.like("quarantine:%")).order_by(JOURNAL.c.seq.desc())
    for one in connection.execute(mine):
        # A move's operation id is its caller's, and may be like this.
        row = JournalRow(*one)
        if not row.unreadable and row.kind is RowKind.QUARANTINE:
            return row.seq, row.quarantine
    return None


def end(connection: Connection) -> tuple[int, str]:
    """The number that the next row gets, and the digest that it is chained to."""
    newest = select(JOURNAL.c.seq, JOURNAL.c.digest).order_by(JOURNAL.c.seq.desc()).limit(1)
    last = connection.execute(newest).first()
    return (last.seq + 1, last.digest) if last else (1, FIRST_PREVIOUS)


def append(connection: Connection, row: JournalRow) -> None:
    """Put a row at the end. Raises NotKept where it is not there then."""
    values = {"seq": row.seq, "operation_id": row.operation_id, "previous": row.previous, "digest": row.digest}
    connection.execute(JOURNAL.insert().values(**values, row=row.row))
    if operation(connection, row.operation_id) != row:
        raise NotKept(f"row {row.seq} of the journal")
