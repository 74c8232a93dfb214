"""The throttle: how many events a second whoever keeps the sides current may read at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, select

from dualgauge.ledger.tables import THROTTLE

if TYPE_CHECKING:
    from dualgauge.ledger.access import Access


class Throttle:
    """The throttle of one migration. Each call is one transaction."""

    def __init__(self, access: Access, migration: str) -> None:
        self._access, self._migration = access, migration

    def set(self, events_per_second: int | None) -> None:
        """Throttle, or with None no longer."""
        with self._access.writing() as connection:
            connection.execute(THROTTLE.delete().where(THROTTLE.c.migration == self._migration))
            if events_per_second is not None:
                row = {"migration": self._migration, "events_per_second": events_per_second}
                connection.execute(THROTTLE.insert().values(row))

    def limit(self) -> int | None:
        """Events a second; None where nothing is throttled, as in a ledger that has no such table yet."""
        here = select(THROTTLE.c.events_per_second).where(THROTTLE.c.migration == self._migration)
        with self._access.reading() as connection:
            if not inspect(connection).has_table(THROTTLE.name):
                return None
            return connection.execute(here).scalar_one_or_none()
