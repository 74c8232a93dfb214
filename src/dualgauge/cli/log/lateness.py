"""How late the log's newest events are, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualgauge.cli.terminal.times import duration
from dualgauge.model import plural

if TYPE_CHECKING:
    from dualgauge.eventlog.table.lateness import Lateness


def late_line(found: Lateness | None) -> str:
    """`late: 12 of the last 1,000 events, ...`."""
    if found is None:
        return "late: cannot be told: the log's events cannot be read (`dualgauge doctor` says why)"
    if not found.events:
        return "late: no events yet"
    looked = f"the last {plural(found.events, 'event')}"
    if found.p50 is None or found.p99 is None or found.most is None:
        return f"late: none of {looked}"
    times = f"half of them by up to {duration(found.p50)}, 99 % by up to {duration(found.p99)}"
    return f"late: {found.late:,} of {looked}, {times}, the most by {duration(found.most)}"
