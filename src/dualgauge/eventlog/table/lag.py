"""How long events have been in the log that somebody lacks, and how quickly new ones come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dualgauge.eventlog.table.delta import active_files
from dualgauge.eventlog.table.lookup import recorded_at, recorded_since
from dualgauge.model import Position

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dualgauge.eventlog.table.event_log import EventLog

ARRIVALS: Final = timedelta(minutes=1)
"""Over how long the rate of new events is taken."""


def lags(log: EventLog, positions: Iterable[Position | None], now: datetime) -> dict[Position, timedelta]:
    """
    For how long the log has had the event behind each position; those at the head, or beyond it, are left out.

    Never below zero: clocks differ.

    Raises:
        DamagedLog: a file of the log is gone, or does not hold the positions that it should.
    """
    head = log.head().last
    following = sorted({Position(one + 1) for one in positions if one is not None and one < head})
    return {Position(at - 1): max(timedelta(), now - when) for at, when in recorded_at(log, following)}


def lag_of(log: EventLog, position: Position, now: datetime) -> timedelta:
    """The same of one position; zero at the head, and beyond it."""
    return lags(log, [position], now).get(position, timedelta())


def arrival_rate(log: EventLog, now: datetime) -> float:
    """
    How many events a second the log got in the last minute; 0.0 of one that is idle.

    Raises:
        DamagedLog: a file of the log is gone.
    """
    start = now - ARRIVALS
    if not log.exists:
        return 0.0
    newest = {one["path"]: one["max.recorded_at"] for one in active_files(log.table, ("path", "max.recorded_at"))}
    # Without a bound it is later than any that there is.
    files = [one for one in log.event_files() if newest[one.name] is None or newest[one.name] >= start]
    return sum(recorded_since(log, one, start) for one in files) / ARRIVALS.total_seconds()
