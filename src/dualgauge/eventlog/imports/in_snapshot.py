"""
An import out of one snapshot of a database, which its caller then reads as well: the log has what the snapshot has.

The snapshot is taken in the turn of the log's writers, so that whatever the log has was read before, and is in the
snapshot too, or was deleted since. What the snapshot has and the log lacks is appended right behind that head. Without
a turn (in an object store) the comparison with the head does the same: whoever is slower begins anew, with a new
snapshot. Rows are known by their ids and never counted, so that a gap in numbers or a deleted row holds nothing up.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from dualgauge.engines.errors import BadValue
from dualgauge.eventlog.append.id_index import IdIndex
from dualgauge.eventlog.errors import BadRow, ChangedEvent, LostRace
from dualgauge.eventlog.imports.appending import Appending
from dualgauge.eventlog.imports.fresh import fresh
from dualgauge.eventlog.imports.run import placed, read_all, staging_paths
from dualgauge.eventlog.imports.tolerance import kept
from dualgauge.eventlog.sources.cursor import SourceReading
from dualgauge.eventlog.sources.databases import load_above, one_snapshot
from dualgauge.eventlog.sources.diagnose import diagnose
from dualgauge.eventlog.sources.mapping import select
from dualgauge.eventlog.sources.source import told
from dualgauge.eventlog.table.event_log import Behind
from dualgauge.eventlog.table.retry import TRIES, attempts
from dualgauge.model import Position, Progress, silent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.imports.tolerance import Tolerance
    from dualgauge.eventlog.sources.databases import OneSnapshot
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.stores.external.tables import Tables

Held = TypeVar("Held")


@dataclass(frozen=True, slots=True)
class AtPosition(Generic[Held]):
    """An open snapshot, the position up to which the log has just its rows, and what is held there."""

    snapshot: OneSnapshot
    position: Position
    held: Held


@contextmanager
def import_in_snapshot(
    engine: Engine,
    log: EventLog,
    sources: Sequence[Source],
    tables: Tables,
    *,
    now: datetime,
    hold: Callable[[Position], AbstractContextManager[Held]],
    tolerance: Tolerance | None = None,
    sleep: Callable[[float], None],
    chance: random.Random,
    progress: Progress = silent,
) -> Iterator[AtPosition[Held]]:
    """
    Append what a snapshot of a database has and the log lacks; the snapshot stays open until the context ends.

    Args:
        engine: computes the mapping.
        log: where to; it exists.
        sources: of the database alone.
        tables: the database, which is only read.
        now: becomes `recorded_at`.
        hold: entered with the position before anything is appended, so that nobody who knows of a later one has passed
            it; left at the end.
        tolerance: rows that do not fit and are set aside; without, the first one stops the import.
        sleep, chance: how to wait where another writer was quicker.
        progress: told the steps.

    Raises:
        BadRow, ChangedEvent: as `run_import`; nothing was appended.
        LostRace: other writers were quicker, again and again.
    """
    for _ in attempts(sleep, chance):
        with ExitStack() as stack:
            try:
                with log.turn():
                    found = _appended(engine, log, sources, tables, stack, now, hold, tolerance, progress)
            except Behind:
                continue
            log.mirror()
            yield found
            return
    raise LostRace(log.path, TRIES)


def _appended(  # noqa: PLR0917  (called with all of them, in this order)
    engine: Engine,
    log: EventLog,
    sources: Sequence[Source],
    tables: Tables,
    stack: ExitStack,
    now: datetime,
    hold: Callable[[Position], AbstractContextManager[Held]],
    tolerance: Tolerance | None,
    progress: Progress,
) -> AtPosition[Held]:
    """Once. Raises Behind, where another writer was quicker."""
    head = log.refresh()
    snapshot = stack.enter_context(one_snapshot(tables, sources, head.cursors))
    before = {one.name: head.cursors.get(one.name) for one in sources}
    readings = [SourceReading(one, before[one.name]) for one in sources]
    with staging_paths(log, now, dry_run=False) as staged:
        read, cursors, misfits = read_all(
            engine, log, readings, staged, now=now, until=None, tolerance=tolerance, progress=progress, within=snapshot
        )
        progress("looking for known ids", 0, None)
        try:
            new = fresh(engine, log, staged.merged, IdIndex(log))
            if log.head() != head:
                raise Behind
            kept(tolerance, misfits)
            position = Position(head.last + new.added)
            held = stack.enter_context(hold(position))
            Appending(engine, log, new, staged, cursors, before, progress, []).behind(head)
        except ChangedEvent as fault:
            raise placed(engine, log, read, fault) from None
    return AtPosition(snapshot, position, held)


def ids_above(engine: Engine, log: EventLog, source: Source, snapshot: OneSnapshot, value: object) -> list[str]:
    """
    The ids of the events that the rows of a snapshot give whose cursor is above a value.

    Raises:
        ValueError: it is no value of the cursor, with the reason.
        BadRow: a row does not fit.
    """
    loaded = load_above(engine, source, 0, snapshot, value)
    columns = log.settings.columns
    try:
        return [one for (one,) in engine.rows(f"SELECT event_id FROM ({select(engine, loaded, columns, 0)})")]
    except BadValue as fault:
        if found := diagnose(engine, loaded, columns, 0):
            raise BadRow(source.name, *found) from fault
        raise BadRow(source.name, "", told(fault)) from fault
