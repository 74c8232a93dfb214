"""
Late events: those that occurred before an event that the log had already.

A log is in the order in which events became known, so some of them are late, and a view that goes by `occurred_at` has
to bear it. Here it is only measured, over the newest positions; nothing is reordered.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.errors import DamagedLog
from dualgauge.eventlog.table.delta import active_files
from dualgauge.model import Position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.eventlog.table.event_log import EventLog

WINDOW = 1_000_000
"""How many of the newest events are looked at."""

_ROUNDED = 1_000
"""
A table's statistics are rounded up to milliseconds: the latest time of a file is less than so many microseconds below.
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


def lateness(log: EventLog, window: int = WINDOW) -> Lateness:
    """
    Look at the last `window` positions of the log; of what is before them, only the latest time is asked for.

    Raises:
        DamagedLog: a file of the log is gone, or is not what was written.
    """
    head = log.head().last
    if not head:
        return Lateness(0, 0, None, None, None)
    start = Position(max(0, head - window))
    before = _latest(log, start)
    times = np.concatenate([_times(log, file, max(file.first, start + 1)) for file in log.event_files(head, start)])
    latest = np.maximum.accumulate(np.concatenate([times[:1] if before is None else [before], times]))[:-1]
    behind = latest - times
    late = np.sort(behind[behind > 0])
    if not len(late):
        return Lateness(len(times), 0, None, None, None)
    # Of so many, the smallest that this share of all does not exceed.
    p50, p99, most = (float(late[-(-len(late) * share // 100) - 1]) / 1_000_000 for share in (50, 99, 100))
    return Lateness(len(times), len(late), p50, p99, most)


def lateness_if_readable(log: EventLog) -> Lateness | None:
    """The same; None where the log cannot be read: what does not need it can still be told."""
    try:
        return lateness(log)
    except DualgaugeError:
        return None


def _latest(log: EventLog, upto: Position) -> int | None:
    """The latest `occurred_at` of the positions up to one, in microseconds since 1970; None of none."""
    if not upto:
        return None
    files = log.event_files(upto)
    whole = [file for file in files if file.last <= upto]
    # The window begins in a file: what is before it there is read.
    found = [int(_times(log, file, file.first, upto).max()) for file in files if file.last > upto]
    if whole:
        rounded = _latest_by_file(log)
        # Only a file within the rounding of the latest one can hold it.
        bound = max(rounded[file.name] for file in whole) - _ROUNDED
        found += [_footer(log, file) for file in whole if rounded[file.name] > bound]
    return max(found, default=None)


def _latest_by_file(log: EventLog) -> dict[str, int]:
    """The latest `occurred_at` of each file in microseconds, by the table's statistics."""
    actions = active_files(log.table).select(["path", "max.occurred_at"])
    return dict(zip(actions["path"].to_pylist(), _numbers(actions["max.occurred_at"]).tolist(), strict=True))


def _footer(log: EventLog, file: EventFile) -> int:
    """The latest `occurred_at` of a file, in microseconds since 1970, by its Parquet footer: it is exact there."""
    with _opened(log, file) as opened:
        footer = opened.metadata
        names = [footer.schema.column(i).name for i in range(footer.num_columns)]
        groups = [footer.row_group(i).column(names.index("occurred_at")) for i in range(footer.num_row_groups)]
        # As it stands in the file, in microseconds.
        return int(max(group.statistics.max_raw for group in groups))


def _times(log: EventLog, file: EventFile, first: int, last: int | None = None) -> np.ndarray[Any, Any]:
    """When the events of a file from a position on (through another) occurred, in microseconds since 1970."""
    with _opened(log, file) as opened:
        ends = np.cumsum([opened.metadata.row_group(i).num_rows for i in range(opened.num_row_groups)])
        begin, end = first - file.first, (file.last if last is None else last) - file.first + 1
        groups = [i for i, here in enumerate(ends) if here > begin and (not i or ends[i - 1] < end)]
        column = opened.read_row_groups(groups, columns=["occurred_at"])["occurred_at"]
        skipped = ends[groups[0] - 1] if groups[0] else 0
        found = _numbers(column)[begin - skipped : end - skipped]
        if column.null_count or len(found) != end - begin:
            raise DamagedLog(log.path, f"{file.name} does not hold the events that it should")
        return found


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Times as microseconds since 1970, straight from their buffers: any other way out of Arrow loads pandas."""
    return np.concatenate([
        np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in filter(len, column.chunks)
    ])  # fmt: skip


@contextmanager
def _opened(log: EventLog, file: EventFile) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(log.place.local(file.name, file.size)) as opened:
            yield opened
    except (OSError, pa.ArrowException, LookupError) as fault:
        reason = str(fault).split("\n")[0].rstrip(".")
        raise DamagedLog(log.path, f"{file.name} cannot be read ({reason})") from fault
