"""
Imports: rows of one source or several become events, in one order, each exactly once.

The rows that are due are sorted into a staged file first. Where the log is empty and no id repeats, that file
is committed as it is; else the rows whose ids are known are left out of a second one. A killed import leaves
staged files behind, which the next one removes, and nothing else.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualgauge.engines.duck import parquet
from dualgauge.engines.errors import BadValue, EngineError
from dualgauge.eventlog.errors import BadMapping, BadRow, ChangedEvent, LostRace
from dualgauge.eventlog.sources import diagnose, select
from dualgauge.eventlog.table import STAGING, Behind, EventLog
from dualgauge.model import Position, Progress, literal, quote, silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.sources import Source

TRIES = 20
"""How often an import that lost the race for the next position starts over."""

ROWS_PER_COMMIT = 4_194_304
"""A larger import is committed in parts, each whole, so that no file grows without bound."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. Positions are those it gave; `first` is 0 where it added nothing."""

    added: int
    known: int
    first: Position
    last: Position
    sources: tuple[str, ...]
    until: datetime | None


def run_import(
    engine: Engine,
    log: EventLog,
    sources: Sequence[Source],
    *,
    now: datetime,
    until: datetime | None = None,
    progress: Progress = silent,
) -> Imported:
    """
    Append the events of sources that the log does not have yet, merged by the time they are due.

    Args:
        engine: computes the mapping.
        log: where to; created where there is none.
        sources: read whole; what is known by its id is skipped.
        now: becomes `recorded_at`.
        until: take only rows that are due by this time.
        progress: told the steps.

    Raises:
        BadRow: a row does not fit; nothing was appended.
        ChangedEvent: an id came again with other content; nothing was appended.
        LostRace: other writers were quicker, again and again.
    """
    log.create()
    log.reconcile()
    head = log.refresh()
    cursors = {one.name: _cursor(one, until) for one in sources}
    names = tuple(one.name for one in sources)
    if all(one.files and head.cursors.get(one.name) == cursors[one.name] for one in sources):
        return Imported(added=0, known=0, first=Position(0), last=head.last, sources=names, until=until)
    remove_leftovers(log)
    merged = log.staging(f"{uuid.uuid4().hex}-merged.parquet")
    part = log.staging(f"{uuid.uuid4().hex}-part.parquet")
    try:
        progress("reading and sorting", 0, None)
        _stage(engine, log, sources, merged, now=now, until=until)
        for _ in range(TRIES):
            try:
                return _append(engine, log, merged, part, cursors, names, until, progress)
            except Behind:
                log.refresh()
        raise LostRace(log.path, TRIES)
    finally:
        merged.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def remove_leftovers(log: EventLog) -> None:
    """Remove what killed imports staged; a running import's files are younger than a day and stay."""
    folder = log.path / STAGING
    if not folder.is_dir():
        return
    newest = max((file.stat().st_mtime for file in folder.iterdir()), default=0.0)
    for file in folder.iterdir():
        if file.stat().st_mtime < newest - 86_400:
            file.unlink(missing_ok=True)


def _stage(
    engine: Engine, log: EventLog, sources: Sequence[Source], merged: Path, *, now: datetime, until: datetime | None
) -> None:
    declared = log.settings.columns
    selects = [f"SELECT *, {i} AS _source FROM ({select(engine, one, declared, i)})" for i, one in enumerate(sources)]
    columns = ", ".join(
        ["row_number() OVER () AS position", "event_id", "type", "occurred_at",
         f"TIMESTAMPTZ {literal(now.isoformat())} AS recorded_at", "payload", *(quote(name) for name in declared)]
    )  # fmt: skip
    due = f" WHERE _due <= TIMESTAMPTZ {literal(until.isoformat())}" if until else ""
    ties = "_due, " + ("_source, " if len(sources) > 1 else "") + ("_tie, " if any(s.settings.order_by for s in sources) else "")
    query = f"SELECT {columns} FROM (SELECT * FROM ({' UNION ALL '.join(selects)}){due} ORDER BY {ties}event_id)"
    try:
        _copy(engine, query, merged)
    except EngineError as fault:
        for i, one in enumerate(sources):
            found = diagnose(engine, one, declared, i)
            if found:
                place = f", {found[0]}" if found[0] else ""
                raise BadRow(one.name, place, found[1]) from fault
        if isinstance(fault, BadValue):
            raise BadRow(names[0] if len(names := [s.name for s in sources]) == 1 else ", ".join(names), "", fault.reason) from fault
        raise BadMapping(", ".join(one.name for one in sources), fault.reason) from fault


def _append(
    engine: Engine,
    log: EventLog,
    merged: Path,
    part: Path,
    cursors: Mapping[str, Any],
    names: tuple[str, ...],
    until: datetime | None,
    progress: Progress,
) -> Imported:
    """Number and commit what the log does not have; raises Behind where another writer was quicker."""
    head = log.head()
    progress("looking for known ids", 0, None)
    staged = parquet([merged])
    total, ids = engine.row(f"SELECT count(*), count(DISTINCT event_id) FROM ({staged})")
    if not total:
        return Imported(added=0, known=0, first=Position(0), last=head.last, sources=names, until=until)
    fresh, known = staged, 0
    if ids < total:
        _refuse_changed(engine, log, staged, staged, "the row before it in this import")
        fresh = f"SELECT * FROM ({staged}) QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY position) = 1"
        known = total - ids
    if head.last:
        had = log.relation(head.last)
        again = engine.row(f"SELECT count(*) FROM ({fresh}) SEMI JOIN ({had}) USING (event_id)")[0]
        if again:
            _refuse_changed(engine, log, had, staged, "the log")
            fresh = f"SELECT * FROM ({fresh}) ANTI JOIN (SELECT event_id FROM ({had})) USING (event_id)"
            known += again
    added = total - known
    if not added:
        return Imported(added=0, known=known, first=Position(0), last=head.last, sources=names, until=until)
    first = Position(head.last + 1)
    parts = range(0, added, ROWS_PER_COMMIT)
    for number, start in enumerate(parts):
        rows = min(ROWS_PER_COMMIT, added - start)
        progress("committing", start, added)
        if known == 0 and not head.last and len(parts) == 1:
            file = merged
        else:
            numbered = f"row_number() OVER () + {head.last:d}"
            bounds = f" LIMIT {rows} OFFSET {start}" if len(parts) > 1 else ""
            ordered = f"SELECT * FROM ({fresh}) ORDER BY position{bounds}"
            _copy(engine, f"SELECT {numbered} + {start} AS position, * EXCLUDE (position) FROM ({ordered})", part)
            file = part
        # The cursors say that a source was taken in whole: only the last part may claim that.
        log.commit(file, rows, cursors if number == len(parts) - 1 else {})
    progress("committing", added, added)
    return Imported(added=added, known=known, first=first, last=log.head().last, sources=names, until=until)


def _refuse_changed(engine: Engine, log: EventLog, old: str, new: str, where: str) -> None:
    """Raise where an id has one content in `old` and another in `new`."""
    content = ["type", "occurred_at", "payload", *log.settings.columns]
    differs = " OR ".join(f"o.{quote(name)} IS DISTINCT FROM n.{quote(name)}" for name in content)
    found = engine.rows(
        f"SELECT n.event_id, o.position, {', '.join(f'o.{quote(c)} IS DISTINCT FROM n.{quote(c)}' for c in content)} "
        f"FROM ({new}) n JOIN ({old}) o USING (event_id) WHERE {differs} ORDER BY o.position, n.position LIMIT 1"
    )
    if found:
        event_id, position, *flags = found[0]
        first = f"position {position:,} of {where}" if where == "the log" else "one row of this import"
        second = "a row of this import" if where == "the log" else "another row of it"
        raise ChangedEvent(event_id, first, second, [name for name, flag in zip(content, flags, strict=True) if flag])


def _copy(engine: Engine, query: str, file: Path) -> None:
    engine.execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")


def _cursor(source: Source, until: datetime | None) -> dict[str, Any]:
    """How far a source was taken in: its files as they are now, and up to which time."""
    return {"files": source.fingerprint(), "until": until.isoformat() if until else None}
