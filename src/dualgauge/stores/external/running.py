"""
Which transactions run in a PostgreSQL database, and whether those that ran at a moment have ended.

A sequence gives its numbers, and `now()` the time, before a transaction commits: a row with 5 may come to light after
one with 6. So what was seen is only left behind once every transaction that ran then has ended.

A transaction that has not written yet has no number of its own (xid), so it is known by its virtual one: the lock on it
is held as long as it runs. One that is prepared for a commit in two phases gives that lock up; from then on it is known
by its xid. On a standby the virtual ones are not those of the primary: there the snapshot's bounds must do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualgauge.stores.external.tables import Tables

# Those of other databases cannot write here, and a vacuum takes no number.
_RUNNING: Final = """
SELECT CAST(pg_snapshot_xmin(s) AS text), CAST(pg_snapshot_xmax(s) AS text),
  ARRAY(
    SELECT l.virtualtransaction FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_stat_activity a
      WHERE a.pid = l.pid AND (a.datname <> current_database() OR a.backend_type = 'autovacuum worker')
    )
  ),
  ARRAY(
    SELECT CAST(p.transaction AS text) FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()
  )
FROM pg_current_snapshot() s
"""


@dataclass(frozen=True, slots=True)
class Running:
    """The transactions that run now: bounds of their xids, the virtual ones, and the prepared ones."""

    xmin: int
    xmax: int
    virtual: frozenset[str]
    prepared: frozenset[str]


@dataclass(frozen=True, slots=True)
class Noted:
    """A value of the cursor that was seen, and those of the transactions running then that have not ended."""

    seen: dict[str, str]
    xmax: int
    virtual: frozenset[str]
    prepared: frozenset[str]
    behind: bool = True
    """Whether an xid that was given out by then may still run."""

    @classmethod
    def of(cls, seen: dict[str, str], now: Running) -> Self:
        """What runs at the moment at which a value was seen."""
        return cls(seen, now.xmax, now.virtual, now.prepared, behind=now.xmin < now.xmax)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self | None:
        """What was kept; None where nothing is open."""
        if "seen" not in state:
            return None
        return cls(state["seen"], state["xmax"], frozenset(state["running"]), frozenset(state["prepared"]))

    def to_state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seen": self.seen, "xmax": self.xmax, "running": sorted(self.virtual), "prepared": sorted(self.prepared),
        }  # fmt: skip

    def left(self, now: Running) -> Self:
        """Without those that have ended since."""
        if now.xmax < self.xmax:
            # Another server, which numbers its transactions anew: nothing of the old one runs there.
            return replace(self, virtual=frozenset(), prepared=frozenset(), behind=False)
        virtual, prepared = self.virtual & now.virtual, self.prepared & now.prepared
        if virtual != self.virtual:
            # One that gave its lock up may be among these.
            prepared |= now.prepared
        return replace(self, virtual=virtual, prepared=prepared, behind=now.xmin < self.xmax)

    @property
    def ended(self) -> bool:
        """Whether everything that ran then has ended."""
        return not (self.virtual or self.prepared or self.behind)


def running(tables: Tables) -> Running:
    """Look at what runs now. Raises TablesRefused, TablesUnreachable."""
    with tables.snapshot() as snapshot:
        xmin, xmax, virtual, prepared = snapshot.row(_RUNNING)
    return Running(int(xmin), int(xmax), frozenset(virtual), frozenset(prepared))
