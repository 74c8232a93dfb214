"""The log's Parquet files: how they are described for Delta's readers, and called."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from deltalake.exceptions import DeltaError

from dualgauge.eventlog.errors import DamagedLog
from dualgauge.eventlog.table.delta import active_files, first_words

if TYPE_CHECKING:
    from pathlib import Path

    from deltalake import DeltaTable
    from pyarrow.parquet import Statistics

    from dualgauge.model import Position

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALMOST = timedelta(microseconds=999)


@dataclass(frozen=True, slots=True, order=True)
class EventFile:
    """One Parquet file of the log, positions `first` to `last`, by the table's statistics."""

    first: Position
    last: Position
    name: str
    size: int


def files_of(table: DeltaTable, path: str) -> list[EventFile]:
    """
    The files that a table names, in the order of positions; `path` is for messages.

    Raises:
        DamagedLog: the commits do not say it.
    """
    try:
        found = active_files(table, ("min.position", "max.position", "path", "size_bytes"))
    except DeltaError as fault:
        raise DamagedLog(path, f"its commits cannot be read ({first_words(fault)})") from fault
    if bad := next((one["path"] for one in found if None in one.values()), None):
        raise DamagedLog(path, f"its commits do not say which positions {bad} holds")
    return sorted(EventFile(*one.values()) for one in found)


def statistics(path: Path, rows: int) -> dict[str, Any]:
    """Delta statistics that readers choose files by: positions and times, from the Parquet footer."""
    # Imported here: whoever only looks at a log does not wait for it.
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    names = [footer.schema.column(i).name for i in range(footer.num_columns)]
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    for name in ("position", "occurred_at", "recorded_at"):
        index = names.index(name)
        groups = [footer.row_group(i).column(index).statistics for i in range(footer.num_row_groups)]
        bounds = list(map(_bounds, groups))
        low[name], high[name] = min(one for one, _ in bounds), max(one for _, one in bounds)
    return {
        "numRecords": rows,
        "minValues": {name: _plain(value) for name, value in low.items()},
        # Delta keeps milliseconds: the upper bound is rounded up, or readers would skip a file that they need. The last
        # millisecond of all has no bound.
        "maxValues": {name: _plain(value, ALMOST) for name, value in high.items() if not _last_of_all(value)},
    }


def _bounds(of: Statistics) -> tuple[Any, Any]:
    """The least and the most of a column; Arrow would load pandas for an instant, which takes half a second."""
    if "Timestamp(isAdjustedToUTC=true, timeUnit=microseconds" not in str(of.logical_type):
        return of.min, of.max
    return _EPOCH + timedelta(microseconds=of.min_raw), _EPOCH + timedelta(microseconds=of.max_raw)


def _last_of_all(value: object) -> bool:
    return isinstance(value, datetime) and value > datetime.max.replace(tzinfo=value.tzinfo) - ALMOST


def _plain(value: object, more: timedelta = timedelta()) -> object:
    if isinstance(value, datetime):
        return (value + more).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def token(staged: Path) -> str:
    """The part of a staged file's name that its place in the log is named after: what was left can be told by it."""
    return staged.name.rsplit("-", 2)[-2][:16] if staged.name.count("-") > 1 else ""


def event_name(first: int, last: int, staged: Path) -> str:
    """
    The name of an event file: its positions, some letters of its own, and its writer's token.

    No two files have one name, also where a writer tries the same positions again: what was sent to an object store
    before may still arrive, and must not be written over.
    """
    return f"events-{first:016d}-{last:016d}-{uuid.uuid4().hex[:8]}-{token(staged)}.parquet"


def touch(staged: Path) -> None:
    """Say that the writer of a staged file is at work: another machine takes a mark of yesterday for a dead one's."""
    with suppress(OSError):
        os.utime(staged.with_name(f"{staged.name.rpartition('-')[0]}-mark"))
