"""
Imports: rows of one source or several become events, in one order, each exactly once.

The rows that are due are sorted into a staged file first. Where the log is empty and no id repeats, that file
is committed as it is; else the rows whose ids are known are left out of a second one. A killed import leaves
staged files behind, which the next one removes, and nothing else.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dualgauge.engines.duck import parquet
from dualgauge.engines.errors import BadStatement, BadValue
from dualgauge.engines.scratch import scratch
from dualgauge.eventlog.errors import BadMapping, BadRow, ChangedEvent, LostRace
from dualgauge.eventlog.payload import same_payload
from dualgauge.eventlog.reading import told
from dualgauge.eventlog.sources import diagnose, places, select
from dualgauge.eventlog.staging import staged
from dualgauge.eventlog.table import TRIES, Behind, EventLog, Head
from dualgauge.model import Position, Progress, canonical_json, literal, quote, sha256, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.reading import Source

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
    dry_run: bool = False,
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
        dry_run: count what would be added, and append nothing.
        progress: told the steps.

    Raises:
        BadRow: a row does not fit; nothing was appended.
        ChangedEvent: an id came again with other content; nothing was appended.
        LostRace: other writers were quicker, again and again.
    """
    cursors = {one.name: _cursor(one, until) for one in sources}
    names = tuple(one.name for one in sources)
    if not dry_run:
        log.create()
        log.reconcile()
    head = log.refresh()
    nothing = Imported(added=0, known=0, first=Position(0), last=head.last, sources=names, until=until)
    if all(one.files and head.cursors.get(one.name) == cursors[one.name] for one in sources):
        return nothing
    with _staged(log, now, dry_run=dry_run) as (merged, part):
        progress("reading and sorting", 0, None)
        _stage(engine, log, sources, merged, now=now, until=until)
        done: list[Head] = []
        for _ in range(TRIES):
            progress("looking for known ids", 0, None)
            try:
                fresh = _fresh(engine, log, merged)
            except ChangedEvent as fault:
                raise _placed(engine, log, sources, fault) from None
            head = log.head()
            if dry_run:
                first = Position(head.last + 1 if fresh.added else 0)
                return replace(
                    nothing, added=fresh.added, known=fresh.known, first=first, last=Position(head.last + fresh.added)
                )
            try:
                _commit(engine, log, fresh, (merged, part), cursors=cursors, progress=progress, done=done)
            except Behind:
                log.refresh()
                continue
            added = sum(one.rows for one in done)
            return replace(
                nothing,
                added=added,
                known=fresh.added + fresh.known - added,
                first=done[0].first if done else Position(0),
                last=done[-1].last if done else head.last,
            )
        raise LostRace(log.path, TRIES)


def _placed(engine: Engine, log: EventLog, sources: Sequence[Source], fault: ChangedEvent) -> ChangedEvent:
    """The same error, with the rows called by their file and number where the sources tell."""
    found = [
        place for i, one in enumerate(sources) for place in places(engine, one, log.settings.columns, i, fault.event_id)
    ]
    in_log = fault.first.startswith("position")
    if len(found) < (1 if in_log else 2):
        return fault
    first, second = (fault.first, found[0]) if in_log else (found[0], found[1])
    return ChangedEvent(fault.event_id, first, second, fault.columns)


@contextmanager
def _staged(log: EventLog, now: datetime, *, dry_run: bool) -> Iterator[tuple[Path, Path]]:
    """Two paths for files that are not committed yet; whatever is left of them is removed at the end."""
    names = ("merged.parquet", "part.parquet")
    if dry_run:
        with scratch("import") as folder:
            yield folder / names[0], folder / names[1]
        return
    with staged(log, now, *names) as (merged, part):
        yield merged, part


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
    ties = (
        "_due, "
        + ("_source, " if len(sources) > 1 else "")
        + ("_tie, " if any(s.settings.order_by for s in sources) else "")
    )
    query = f"SELECT {columns} FROM (SELECT * FROM ({' UNION ALL '.join(selects)}){due} ORDER BY {ties}event_id)"
    try:
        _copy(engine, query, merged)
    except BadValue as fault:
        for i, one in enumerate(sources):
            if found := diagnose(engine, one, declared, i):
                raise BadRow(one.name, *found) from fault
        raise BadRow(", ".join(one.name for one in sources), "", told(fault)) from fault
    except BadStatement as fault:
        raise BadMapping(", ".join(one.name for one in sources), told(fault)) from fault


@dataclass(frozen=True, slots=True)
class _Fresh:
    """The staged rows that the log does not have, as a query in their order. `whole`: all of them."""

    query: str
    added: int
    known: int

    @property
    def whole(self) -> bool:
        return self.known == 0


def _fresh(engine: Engine, log: EventLog, merged: Path) -> _Fresh:
    """Leave out the rows whose ids are known; raises ChangedEvent where one came with other content."""
    staged = parquet([merged])
    total, ids = engine.row(f"SELECT count(*), count(DISTINCT event_id) FROM ({staged})")
    query, known = staged, 0
    if ids < total:
        query = f"SELECT * FROM ({staged}) QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY position) = 1"
        _refuse_changed(engine, log, query, staged, "this import")
        known = total - ids
    head = log.head().last
    if head and total:
        had = log.relation(head)
        again = engine.row(f"SELECT count(*) FROM ({query}) SEMI JOIN ({had}) USING (event_id)")[0]
        if again:
            _refuse_changed(engine, log, had, staged, "the log")
            query = f"SELECT * FROM ({query}) ANTI JOIN (SELECT event_id FROM ({had})) USING (event_id)"
            known += again
    return _Fresh(query=query, added=total - known, known=known)


def _commit(
    engine: Engine,
    log: EventLog,
    fresh: _Fresh,
    staged: tuple[Path, Path],
    *,
    cursors: Mapping[str, Any],
    progress: Progress,
    done: list[Head],
) -> None:
    """Number and commit the fresh rows, each commit noted in `done`. Raises Behind where another writer was quicker."""
    merged, part = staged
    head = log.head().last
    starts = range(0, fresh.added, ROWS_PER_COMMIT)
    for start in starts:
        progress("committing", start, fresh.added)
        rows = min(ROWS_PER_COMMIT, fresh.added - start)
        file = merged
        if not fresh.whole or head or len(starts) > 1:
            bounds = f" LIMIT {rows} OFFSET {start}" if len(starts) > 1 else ""
            ordered = f"SELECT * FROM ({fresh.query}) ORDER BY position{bounds}"
            numbered = f"row_number() OVER () + {head + start:d} AS position"
            _copy(engine, f"SELECT {numbered}, * EXCLUDE (position) FROM ({ordered})", part)
            file = part
        # The cursors say that a source was taken in whole: only the last part may claim that.
        done.append(log.commit(file, Position(head + start), rows, cursors if start == starts[-1] else {}))
    progress("committing", fresh.added, fresh.added)


def _refuse_changed(engine: Engine, log: EventLog, old: str, new: str, where: str) -> None:
    """Raise where an id has one content in `old` and another in `new`."""
    content = {
        name: f"o.{quote(name)} IS DISTINCT FROM n.{quote(name)}"
        for name in ("type", "occurred_at", *log.settings.columns)
    }
    content["payload"] = "o.payload IS DISTINCT FROM n.payload"
    since = log.since() if where == "the log" else {}
    late = [name for name in log.settings.columns if where == "the log" and since.get(name, log.head().last + 1) > 1]
    for name in late:
        # Declared after the event was taken in: it was in the payload then, or nowhere.
        content[name] = f"(o.position >= {since.get(name, log.head().last + 1):d} AND {content[name]})"
    if late:
        gone = literal(canonical_json(dict.fromkeys(late)))
        rest = [f"TRY(json_merge_patch(coalesce({side}.payload, '{{}}'), {gone}))" for side in ("o", "n")]
        content["payload"] = f"({content['payload']} AND coalesce({rest[0]} <> {rest[1]}, true))"
    differing = engine.batches(
        f"SELECT n.event_id, o.position, o.payload, n.payload, {', '.join(content.values())} "
        f"FROM ({new}) n JOIN ({old}) o USING (event_id) "
        f"WHERE {' OR '.join(content.values())} ORDER BY o.position, n.position"
    )
    for event_id, position, had, has, *flags in (row for batch in differing for row in batch):
        names = [name for name, flag in zip(content, flags, strict=True) if flag]
        absent = [name for name in late if position < since.get(name, position + 1)]
        # An application writes the same payload in another order, and its numbers in other ways.
        if names[-1] == "payload" and same_payload(had, has, absent):
            names.pop()
        if names:
            first = f"position {position:,} of the log" if where == "the log" else "one row of this import"
            second = "a row of this import" if where == "the log" else "another row of it"
            raise ChangedEvent(event_id, first, second, names)


def _copy(engine: Engine, query: str, file: Path) -> None:
    engine.execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")


def _cursor(source: Source, until: datetime | None) -> dict[str, Any]:
    """How far a source was taken in: its files as they are now, how they were read, and up to which time."""
    mapping = sha256(canonical_json(source.settings.model_dump()))
    return {"files": source.fingerprint(), "mapping": mapping, "until": until.isoformat() if until else None}
