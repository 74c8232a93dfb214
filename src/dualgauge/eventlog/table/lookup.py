"""
A few of the log's events, by their positions: straight from the files, without an engine.

Positions are dense and files sorted by them, so a position says in which row of which file its event is.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dualgauge.eventlog.errors import DamagedLog
from dualgauge.model import Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.eventlog.table.event_log import EventLog


def events_at(log: EventLog, positions: Sequence[Position]) -> Iterator[dict[str, Any]]:
    """
    The events at some positions, in that order, each with the columns that its file has.

    Args:
        log: the log.
        positions: sorted, each once, none behind the head.

    Raises:
        DamagedLog: a file is gone, or does not hold the positions that it should.
    """
    for file, here in _files(log, positions):
        yield from _rows(log, file, here).to_pylist()


def recorded_at(log: EventLog, positions: Sequence[Position]) -> Iterator[tuple[Position, datetime]]:
    """
    When the events at some positions came into the log, each with its position.

    Args:
        log: the log.
        positions: sorted, each once, none behind the head.

    Raises:
        DamagedLog: a file is gone, or does not hold the positions that it should.
    """
    for file, here in _files(log, positions):
        found = _rows(log, file, here, ["position", "recorded_at"])["recorded_at"].to_pylist()
        yield from zip(here, found, strict=True)


def recorded_since(log: EventLog, file: EventFile, start: datetime) -> int:
    """How many events of a file came into the log at a time or later. Raises DamagedLog."""
    here = range(file.first, file.last + 1)
    times = _rows(log, file, here, ["position", "recorded_at"])["recorded_at"]
    return int(pc.sum(pc.greater_equal(times, pa.scalar(start, times.type))).as_py() or 0)


def ids_of(log: EventLog, after: Position, upto: Position) -> list[str]:
    """
    The ids of the events after a position up to another one, in their order.

    Raises:
        DamagedLog: a file is gone, or does not hold the positions that it should.
    """
    found: list[str] = []
    for file in log.event_files(upto, after):
        here = range(max(file.first, after + 1), min(file.last, upto) + 1)
        found += _rows(log, file, here, ["position", "event_id"])["event_id"].to_pylist()
    return found


def _files(log: EventLog, positions: Sequence[Position]) -> Iterator[tuple[EventFile, Sequence[Position]]]:
    """The files that hold some sorted positions, each with those that are in it."""
    files = log.event_files(positions[-1], Position(positions[0] - 1)) if positions else []
    for file in files:
        here = positions[bisect_left(positions, file.first) : bisect_left(positions, file.last + 1)]
        if here:
            yield file, here


def _rows(log: EventLog, file: EventFile, positions: Sequence[int], columns: list[str] | None = None) -> pa.Table:
    """Some rows of a file."""
    try:
        with pq.ParquetFile(log.place.local(file.name, file.size)) as opened:
            counts = [opened.metadata.row_group(one).num_rows for one in range(opened.num_row_groups)]
            starts = np.cumsum([0, *counts])
            rows = np.array(positions, dtype=np.int64) - file.first
            held = np.searchsorted(starts, rows, side="right") - 1
            groups = np.unique(held)
            # Where each row is, once only the groups that are needed are there.
            shift = np.cumsum([0, *(counts[one] for one in groups)])[:-1]
            within = rows - starts[held] + shift[np.searchsorted(groups, held)]
            found = opened.read_row_groups([int(one) for one in groups], columns=columns).take(pa.array(within))
    except (OSError, IndexError, pa.ArrowException) as fault:
        reason = "it is not there" if isinstance(fault, FileNotFoundError) else str(fault).split("\n")[0].rstrip(".")
        raise DamagedLog(log.path, f"{file.name} cannot be read ({reason})") from fault
    if found["position"].to_pylist() != list(positions):
        raise DamagedLog(log.path, f"{file.name} does not hold the positions that it should")
    return found
