"""The clock by which leases count: of a server, where the ledger is on one, for all hosts alike."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import func, select

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection


def lease_clock(connection: Connection) -> datetime:
    """The time."""
    if connection.dialect.name == "postgresql":
        found: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return found
    return dt.datetime.now(dt.UTC)
