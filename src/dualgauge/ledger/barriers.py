"""
Barriers: positions at which whoever keeps a side current is asked to hold it, for a moment.

A diff needs both sides at one position while both are moving. It asks for one, waits until a side is there, opens its
snapshot, and lets the side go; a barrier that nobody lets go of is over at its time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from dualgauge.ledger.tables import BARRIER
from dualgauge.ledger.values import time_text
from dualgauge.model import Position, Side

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from dualgauge.ledger.access import Access


LONGEST: Final = timedelta(seconds=10)
"""For how long a side is held at most."""


class Barriers:
    """The barriers of one migration. Each call is one transaction."""

    def __init__(self, access: Access, migration: str) -> None:
        self._access, self._migration = access, migration

    def ask(self, side: Side, asker: str, position: Position, now: datetime) -> None:
        """Ask for a side, perhaps again, to be held at a position, until it is let go of, and for `LONGEST` at most."""
        row = {
            "migration": self._migration, "side": side.value, "asker": asker, "position": position,
            "expires": time_text(now + LONGEST),
        }  # fmt: skip
        here = self._asked(asker) & (BARRIER.c.side == side.value)
        with self._access.writing() as connection:
            connection.execute(BARRIER.delete().where(here))
            connection.execute(BARRIER.insert().values(row))

    def release(self, asker: str, side: Side | None = None) -> None:
        """Let go of a side, or of all that somebody has asked for."""
        here = self._asked(asker)
        if side is not None:
            here &= BARRIER.c.side == side.value
        with self._access.writing() as connection:
            connection.execute(BARRIER.delete().where(here))

    def _asked(self, asker: str) -> ColumnElement[bool]:
        return (BARRIER.c.migration == self._migration) & (BARRIER.c.asker == asker)

    def held(self, now: datetime) -> dict[Side, Position]:
        """
        The position at which each side is to be held; a side that nobody asks for has none.

        What asks for more time than anybody may is passed over: a clock is wrong, or a hand was there.
        """
        asked = (
            select(BARRIER.c.side, func.min(BARRIER.c.position))
            .where(
                BARRIER.c.migration == self._migration,
                BARRIER.c.expires > time_text(now),
                BARRIER.c.expires <= time_text(now + LONGEST),
            )
            .group_by(BARRIER.c.side)
        )
        with self._access.reading() as connection:
            return {Side(side): Position(position) for side, position in connection.execute(asked)}
