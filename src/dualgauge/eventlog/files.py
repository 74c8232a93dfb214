"""The log's Parquet files, described for Delta's readers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

ALMOST = timedelta(microseconds=999)


def statistics(path: Path, rows: int) -> dict[str, Any]:
    """Delta statistics that readers choose files by: positions and times, from the Parquet footer."""
    footer = pq.read_metadata(path)
    names = [footer.schema.column(i).name for i in range(footer.num_columns)]
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    for name in ("position", "occurred_at", "recorded_at"):
        index = names.index(name)
        groups = [footer.row_group(i).column(index).statistics for i in range(footer.num_row_groups)]
        low[name], high[name] = min(g.min for g in groups), max(g.max for g in groups)
    return {
        "numRecords": rows,
        "minValues": {name: _plain(value) for name, value in low.items()},
        # Delta keeps milliseconds: the upper bound is rounded up, or readers would skip a file that they need. The last
        # millisecond of all has no bound.
        "maxValues": {name: _plain(value, ALMOST) for name, value in high.items() if not _last_of_all(value)},
    }


def _last_of_all(value: object) -> bool:
    return isinstance(value, datetime) and value > datetime.max.replace(tzinfo=value.tzinfo) - ALMOST


def _plain(value: object, more: timedelta = timedelta()) -> object:
    if isinstance(value, datetime):
        return (value + more).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
