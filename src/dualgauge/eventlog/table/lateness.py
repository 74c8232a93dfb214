"""
Late events: those that occurred before an event that the log had already.

A log is in the order in which events became known, so some of them are late, and a view that goes by `occurred_at` has
to bear it. Here it is only measured, over the newest positions; nothing is reordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import DamagedLog
from dualgauge.eventlog.table.delta import active_files
from dualgauge.model import Position

if TYPE_CHECKING:
    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table.event_log import EventFile, EventLog

WINDOW = 1_000_000
"""How many of the newest events are looked at."""

_ROUNDED = timedelta(milliseconds=1)
"""A table's statistics are rounded up to milliseconds: the latest time of a file is less than this below them."""

_LATE = """
WITH events AS (
  SELECT
    epoch_us(occurred_at) AS occurred,
    greatest(
      max(epoch_us(occurred_at)) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), {before}
    ) AS latest
  FROM ({window})
)
SELECT
  count(*),
  count(*) FILTER (WHERE occurred < latest),
  quantile_disc(latest - occurred, 0.5) FILTER (WHERE occurred < latest),
  quantile_disc(latest - occurred, 0.99) FILTER (WHERE occurred < latest),
  max(latest - occurred) FILTER (WHERE occurred < latest)
FROM events
"""


@dataclass(frozen=True, slots=True)
class Lateness:
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

    def to_json(self) -> dict[str, object]:
        """Its fields."""
        return {"events": self.events, "late": self.late, "p50": self.p50, "p99": self.p99, "most": self.most}


def lateness(engine: Engine, log: EventLog, window: int = WINDOW) -> Lateness:
    """
    Look at the last `window` positions of the log; of what is before them, only the latest time is asked for.

    Raises:
        DamagedLog, EngineError: a file of the log is gone, or is not what was written.
    """
    head = log.head().last
    if not head:
        return Lateness(0, 0, None, None, None)
    start = Position(max(0, head - window))
    before = _latest(engine, log, start)
    sql = _LATE.format(window=log.relation(head, after=start), before="NULL" if before is None else f"{before:d}")
    events, late, *times = engine.row(sql)
    p50, p99, most = (None if one is None else one / 1_000_000 for one in times)
    return Lateness(events, late, p50, p99, most)


def lateness_if_readable(engine: Engine, log: EventLog) -> Lateness | None:
    """The same; None where the log cannot be read: what does not need it can still be told."""
    try:
        return lateness(engine, log)
    except DualgaugeError:
        return None


def _latest(engine: Engine, log: EventLog, upto: Position) -> int | None:
    """The latest `occurred_at` of the positions up to one, in microseconds since 1970; None of none."""
    if not upto:
        return None
    whole: list[tuple[Any, str]] = []
    found: list[int] = []
    actions = active_files(log.table).select(["path", "max.occurred_at"]).to_pydict()
    rounded = dict(zip(actions["path"], actions["max.occurred_at"], strict=True))
    for file in log.event_files(upto):
        if file.last <= upto:
            whole.append((rounded[file.name], file.name))
            continue
        # The window begins in this file: what is before it is read.
        sql = f"SELECT epoch_us(max(occurred_at)) FROM ({log.relation(upto, after=Position(file.first - 1))})"
        found += [one for (one,) in engine.rows(sql) if one is not None]
    if whole:
        # Only a file within the rounding of the latest one can hold it.
        bound = max(at for at, _ in whole) - _ROUNDED
        near = {name for at, name in whole if at > bound}
        found += [_footer(log, file) for file in log.event_files(upto) if file.name in near]
    return max(found, default=None)


def _footer(log: EventLog, file: EventFile) -> int:
    """The latest `occurred_at` of a file, in microseconds since 1970, by its Parquet footer: it is exact there."""
    try:
        footer = pq.read_metadata(log.place.local(file.name, file.size))
    except (OSError, pa.ArrowException) as fault:
        raise DamagedLog(
            log.path, f"{file.name} cannot be read ({str(fault).split(chr(10))[0].rstrip('.')})"
        ) from fault
    names = [footer.schema.column(i).name for i in range(footer.num_columns)]
    groups = [footer.row_group(i).column(names.index("occurred_at")) for i in range(footer.num_row_groups)]
    latest = max(group.statistics.max for group in groups)
    return int(pa.scalar(latest, pa.timestamp("us", tz="UTC")).value)
