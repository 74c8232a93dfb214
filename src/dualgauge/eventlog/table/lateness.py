"""
Late events: those that occurred before an event that the log had already.

A log is in the order in which events became known, so some of them are late, and a view that goes by `occurred_at` has
to bear it. Here it is only measured, over the newest positions; nothing is reordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dualgauge.engines.errors import EngineError
from dualgauge.engines.parquet_files import scan
from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import DamagedLog
from dualgauge.eventlog.table.delta import active_files
from dualgauge.model import AsJson, Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.engines.duck import Engine, Row
    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.eventlog.table.event_log import EventLog

WINDOW = 1_000_000
"""How many of the newest events are looked at."""

_ROUNDED: Final = timedelta(milliseconds=1)
"""A table's statistics are rounded up to milliseconds: the latest time of a file is by less than this below."""


@dataclass(frozen=True, slots=True)
class Lateness(AsJson):
    """
    How late the newest events are: of `events` looked at, `late` occurred before the latest of those before them.

    By how many seconds: half of the late ones by at most `p50`, 99 of 100 by at most `p99`, none by more than `most`;
    None where none is late.
    """

    events: int
    late: int
    p50: float | None
    p99: float | None
    most: float | None


def lateness(engine: Engine, log: EventLog, window: int = WINDOW) -> Lateness:
    """
    Look at the last `window` positions of the log; of what is before them, only the latest time is asked for.

    Raises:
        DamagedLog: a file of the log is gone, or is not what was written.
    """
    head = log.head().last
    if not head:
        return Lateness(0, 0, None, None, None)
    start = Position(max(0, head - window))
    before = _latest(engine, log, start)
    # In the files' order, which is that of the positions: one pass, without a sort. `astray` proves the order. Of so
    # many late ones, each share takes the smallest that it does not exceed.
    shares = ", ".join(f"late[(len(late) * {share} + 99) // 100]" for share in (50, 99, 100))
    events, astray, late, *behind = _asked(
        engine,
        log,
        log.event_files(head, start),
        f"""
        SELECT events, astray, len(late), {shares}
        FROM (
          SELECT count(*) AS events, count(*) FILTER (position <> {start:d} + place OR moment IS NULL) AS astray,
            coalesce(list_sort(list(latest - moment) FILTER (latest > moment)), []) AS late
          FROM (
            SELECT position, moment, row_number() OVER () AS place,
              greatest(max(moment) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), {before}) AS latest
            FROM (SELECT position, epoch_us(occurred_at) AS moment FROM {{files}} WHERE position > {start:d})
          )
        )""",
    )
    if astray or events != head - start:
        raise DamagedLog(log.path, f"its files do not hold the events {start + 1:,} to {head:,}, each in its place")
    p50, p99, most = (None if one is None else one / 1_000_000 for one in behind)
    return Lateness(events, late, p50, p99, most)


def lateness_if_readable(engine: Engine, log: EventLog) -> Lateness | None:
    """The same; None where the log cannot be read: what does not need it can still be told."""
    try:
        return lateness(engine, log)
    except DualgaugeError:
        return None


def _latest(engine: Engine, log: EventLog, upto: Position) -> str:
    """The latest `occurred_at` of the positions up to one, in microseconds since 1970; NULL of none."""
    if not upto:
        return "NULL"
    files = log.event_files(upto)
    rounded = {one["path"]: one["max.occurred_at"] for one in active_files(log.table, ("path", "max.occurred_at"))}
    # A file has no bound where that would be behind the last moment of all.
    known = [rounded[one.name] for one in files if one.last <= upto and rounded[one.name] is not None]
    least = max(known) - _ROUNDED if known else None
    # Only a file within the rounding of the latest one can hold it. The window begins in the last one, or behind it.
    asked = [
        one for one in files if one.last > upto or rounded[one.name] is None or (least and rounded[one.name] > least)
    ]
    (latest,) = _asked(
        engine, log, asked, f"SELECT epoch_us(max(occurred_at)) FROM {{files}} WHERE position <= {upto:d}"
    )
    return "NULL" if latest is None else str(latest)


def _asked(engine: Engine, log: EventLog, files: Sequence[EventFile], sql: str) -> Row:
    """The row that a query gives of some of the log's files."""
    try:
        return engine.row(sql.format(files=scan([log.place.local(one.name, one.size) for one in files])))
    except (OSError, EngineError) as fault:
        reason = fault.reason if isinstance(fault, EngineError) else str(fault)
        reason = reason.split("\n")[0].rstrip(".")
        raise DamagedLog(log.path, f"its events cannot be read ({reason})") from fault
