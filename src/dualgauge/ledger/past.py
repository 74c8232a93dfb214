"""What a migration was at a time, by the journal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dualgauge.ledger.journal import RowKind
from dualgauge.ledger.routing import RoutingNow
from dualgauge.ledger.values import MigrationState

if TYPE_CHECKING:
    from datetime import datetime

    from dualgauge.ledger.ledger import Ledger


def state_at(ledger: Ledger, migration: str, at: datetime) -> MigrationState:
    """
    The state that a migration was in at a time: after its last move until then, that of the same moment included.

    Before its first move it is in stage `off`.
    """
    state, routing = MigrationState(migration), RoutingNow()
    for row in ledger.journal(migration):
        if row.unreadable or row.kind is not RowKind.MOVE or row.migration != migration or row.at > at:
            continue
        state, routing = row.after, routing.after(row.entry.verb, row.entry.evidence)
    return replace(state, killed=routing.killed, canary=ledger.applied(routing.canary) if routing.canary else "")
