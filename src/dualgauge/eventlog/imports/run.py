"""
Imports: rows of one source or several become events, in one order, each exactly once.

The rows that are due are sorted into a staged file first. Where the log is empty and no id repeats, that file
is committed as it is; else the rows whose ids are known are left out of a second one. A killed import leaves
staged files behind, which the next one removes, and nothing else. What is read of a source's files, and how it is said
that they were, stands in `sources/cursor.py`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dualgauge.engines.errors import BadStatement, BadValue
from dualgauge.engines.files.json_types import opened
from dualgauge.engines.scratch import scratch
from dualgauge.errors import DualgaugeError
from dualgauge.eventlog.append.id_index import IdIndex
from dualgauge.eventlog.columns import CAUSED_BY
from dualgauge.eventlog.errors import BadMapping, BadRow, ChangedEvent, LostRace
from dualgauge.eventlog.imports import appending
from dualgauge.eventlog.imports.appending import Appending, Staged
from dualgauge.eventlog.imports.causal_order import put_in_order
from dualgauge.eventlog.imports.fresh import fresh as _fresh
from dualgauge.eventlog.imports.seen_files import SeenFiles
from dualgauge.eventlog.imports.tolerance import kept, stage_what_fits
from dualgauge.eventlog.sources.copies import Copies
from dualgauge.eventlog.sources.cursor import beyond_a_row, reading_of, source_of
from dualgauge.eventlog.sources.databases import read_on, with_due
from dualgauge.eventlog.sources.diagnose import diagnose
from dualgauge.eventlog.sources.high_water import measured, with_columns_beside
from dualgauge.eventlog.sources.mapping import places, select
from dualgauge.eventlog.sources.new_columns import file_columns, unnamed
from dualgauge.eventlog.sources.source import by_cursor, told
from dualgauge.eventlog.table.duplicates import AT_ONCE
from dualgauge.eventlog.table.retry import TRIES, attempts
from dualgauge.eventlog.table.staging import staged as staging
from dualgauge.model import Position, Progress, literal, quote, silent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.imports.tolerance import Tolerance
    from dualgauge.eventlog.sources.cursor import SourceReading
    from dualgauge.eventlog.sources.databases import OneSnapshot
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.ledger.misfit import Misfit


@dataclass(frozen=True, slots=True)
class Imported:
    """
    What an import did. Positions are those it gave; `first` is 0 where it added nothing.

    `quarantined` are the rows that do not fit and wait; in a dry run, those that do not fit.
    `torn` names files whose last line is not whole yet: it is left for the next import, and so are those that are
    `empty` beside others. `unnamed` are the columns, by their source, that its files have since the last import and
    that are in no event, since no setting names them.
    """

    added: int
    known: int
    first: Position
    last: Position
    sources: tuple[str, ...]
    until: datetime | None
    torn: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    quarantined: int = 0
    unnamed: Mapping[str, Sequence[str]] = field(default_factory=dict)


def run_import(
    engine: Engine,
    log: EventLog,
    sources: Sequence[Source],
    *,
    now: datetime,
    until: datetime | None = None,
    dry_run: bool = False,
    tolerance: Tolerance | None = None,
    sleep: Callable[[float], None],
    chance: random.Random,
    progress: Progress = silent,
) -> Imported:
    """
    Append the events of sources that the log does not have yet, merged by the time they are due.

    Args:
        engine: computes the mapping.
        log: where to; created where there is none.
        sources: of files and databases, what was not taken in yet is read; what is known by its id is skipped.
        now: becomes `recorded_at`.
        until: take only rows that are due by this time.
        dry_run: count what would be added, and append nothing.
        tolerance: set rows aside that do not fit; without, the first one stops the import.
        sleep, chance: how to wait where another writer was quicker.
        progress: told the steps.

    Raises:
        BadRow: a row does not fit; nothing was appended.
        TooManyBadRows: more rows do not fit than may be set aside; nothing was appended or kept.
        ChangedEvent: an id came again with other content; nothing was appended.
        ChangedFile: a file that was taken in is another one now; nothing was appended.
        CircleOfCauses: events cause each other; nothing was appended.
        LostRace: other writers were quicker, again and again.
    """
    if not dry_run:
        log.create(sleep=sleep, chance=chance)
        log.reconcile()
    done: list[Head] = []
    total = 0
    for _ in attempts(sleep, chance):
        head = log.refresh()
        seen = SeenFiles(log.place.work)
        readings = [reading_of(one, head.cursors.get(one.name), until, seen) for one in sources]
        if not dry_run:
            seen.save()
        before = {one.source.name: one.before for one in readings if not one.source.again}
        answer = Imported(
            added=sum(one.rows for one in done), known=0, first=done[0].first if done else Position(0),
            last=done[-1].last if done else head.last, sources=tuple(one.name for one in sources), until=until,
            torn=tuple(file for one in readings for file in one.torn),
            empty=tuple(file for one in readings for file in one.empty),
        )  # fmt: skip
        unread = [one for one in readings if one.reads]
        if not unread:
            return replace(answer, known=total - answer.added)
        with staging_paths(log, now, dry_run=dry_run) as staged:
            read, cursors, misfits = read_all(
                engine, log, unread, staged, now=now, until=until, tolerance=tolerance, progress=progress
            )
            answer = replace(answer, unnamed=_unnamed(log, unread, read, cursors))
            progress("looking for known ids", 0, None)
            try:
                fresh = _fresh(engine, log, staged.merged, None if dry_run else IdIndex(log))
                total = fresh.added + fresh.known
                head = log.head()
                if dry_run:
                    first, last = Position(head.last + 1 if fresh.added else 0), Position(head.last + fresh.added)
                    answer = replace(answer, first=first, last=last, quarantined=len(misfits))
                    return replace(answer, added=fresh.added, known=fresh.known)
                waiting = kept(tolerance, misfits)
                work = Appending(engine, log, fresh, staged, cursors, before, progress, done)
                if not work.all(sleep, chance):
                    continue
            except ChangedEvent as fault:
                raise placed(engine, log, read, fault) from None
            added = sum(one.rows for one in done)
            return replace(
                answer,
                added=added,
                known=total - added,
                first=done[0].first if done else Position(0),
                last=done[-1].last if done else log.head().last,
                quarantined=waiting,
            )
    raise LostRace(log.path, TRIES)


def read_all(
    engine: Engine,
    log: EventLog,
    readings: Sequence[SourceReading],
    staged: Staged,
    *,
    now: datetime,
    until: datetime | None,
    tolerance: Tolerance | None,
    progress: Progress,
    within: OneSnapshot | None = None,
) -> tuple[list[Source], dict[str, Any], Sequence[Misfit]]:
    """
    Stage the events of what is to be read, of exactly the bytes that the readings' fingerprints are of.

    Gives the sources as they were read, their cursors, and the rows that do not fit. `within`: see `read_on`.
    """
    columns = log.settings.columns
    copies = Copies(staged.copies)
    copies.prepare(readings)
    progress("reading and sorting", 0, None)
    cut = until.isoformat() if until else None
    loaded = {
        number: read_on(engine, one.source, number, one.before, cut, within)
        for number, one in enumerate(readings)
        if one.source.settings.url and not one.source.again
    }
    while True:
        sources = [
            loaded[i][0] if i in loaded else with_columns_beside(engine, source_of(one, copies.parts), one.before)
            for i, one in enumerate(readings)
        ]
        try:
            stage = partial(_stage, engine, log, merged=staged.merged, now=now, until=until)
            sources, misfits = stage_what_fits(
                engine, columns, sources, stage, folder=staged.copies, tolerance=tolerance, progress=progress
            )
            cursors = {}
            for number, (one, source) in enumerate(zip(readings, sources, strict=True)):
                if one.source.again:
                    # What is read again claims nothing: its source was taken in before.
                    continue
                counted, due = measured(engine, one, source, columns, number)
                cursors[source.name] = (
                    with_due(loaded[number][1], source, due) if number in loaded else one.cursor(counted, due)
                )
                if source.settings.path:
                    had = (one.before or {}).get("columns", ())
                    cursors[source.name]["columns"] = list(dict.fromkeys([*had, *file_columns(engine, source)]))
                if types := {**one.kinds, **source.kinds, **source.alone}:
                    cursors[source.name]["types"] = {name: opened(kind) for name, kind in types.items()}
        except DualgaugeError:
            # A file that grew meanwhile may have been read in the middle of a line.
            if copies.steady(readings):
                raise
            continue
        if copies.steady(readings):
            break
    if CAUSED_BY in columns:
        put_in_order(engine, staged.merged, staged.part)
    return sources, cursors, misfits


def _unnamed(
    log: EventLog, readings: Sequence[SourceReading], sources: Sequence[Source], cursors: Mapping[str, Any]
) -> dict[str, list[str]]:
    found = {
        source.name: unnamed(source, cursors[source.name].get("columns", ()), reading.before, log.settings.columns)
        for reading, source in zip(readings, sources, strict=True)
        if source.name in cursors
    }
    return {name: columns for name, columns in found.items() if columns}


def placed(engine: Engine, log: EventLog, sources: Sequence[Source], fault: ChangedEvent) -> ChangedEvent:
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
def staging_paths(log: EventLog, now: datetime, *, dry_run: bool) -> Iterator[Staged]:
    """Paths for what is not committed yet; whatever is left there is removed at the end."""
    names = ("merged.parquet", "part.parquet", "copies")
    if dry_run:
        with scratch("import") as folder:
            yield Staged(*(folder / one for one in names))
        return
    with staging(log, now, *names) as paths:
        yield Staged(*paths)


def _stage(
    engine: Engine, log: EventLog, sources: Sequence[Source], merged: Path, *, now: datetime, until: datetime | None
) -> None:
    declared = log.settings.columns
    selects = [
        f"SELECT *, {i} AS _source FROM ({select(engine, one, declared, i)})"
        for i, one in enumerate(sources)
        if not one.nothing
    ]
    if not selects:
        # No row of any source fits.
        kinds = {**log.settings.all_columns, "_due": "TIMESTAMPTZ", "_source": "INTEGER", "_tie": "INTEGER"}
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in kinds.items())
        selects = [f"SELECT {nulls} WHERE false"]
    columns = ", ".join(
        ["row_number() OVER () AS position", "event_id", "type", "occurred_at",
         f"TIMESTAMPTZ {literal(now.isoformat())} AS recorded_at", "payload", *(quote(name) for name in declared)]
    )  # fmt: skip
    due = f" WHERE _due <= TIMESTAMPTZ {literal(until.isoformat())}" if until else ""
    ties = (
        "_due, "
        + ("_source, " if len(sources) > 1 else "")
        + ("_tie, " if any(s.settings.order_by or by_cursor(s.settings) for s in sources) else "")
    )
    rows = f"SELECT * FROM ({' UNION ALL '.join(selects)}){due}"
    try:
        if not _in_order(engine, sources, rows):
            rows = f"{rows} ORDER BY {ties}event_id"
        with engine.resting():
            appending.copy_to(engine, f"SELECT {columns} FROM ({rows})", merged)
    except BadValue as fault:
        for i, one in enumerate(sources):
            if found := diagnose(engine, one, declared, i):
                raise BadRow(one.name, *found) from fault
        raise BadRow(", ".join(one.name for one in sources), "", told(fault)) from fault
    except BadStatement as fault:
        raise BadMapping(", ".join(one.name for one in sources), told(fault)) from fault


def _in_order(engine: Engine, sources: Sequence[Source], rows: str) -> bool:
    """
    Whether rows are read in the order in which they are due, each later than the one before: then nothing is sorted.

    Only asked where one column can be read by itself, for a text file would be parsed twice; and where no query, window
    or subquery is: seen, rows come in another order once other columns are asked for.
    """
    if not all(one.columnar and not one.settings.query and not beyond_a_row(one.settings) for one in sources):
        return False
    due = engine.numbers(f"SELECT epoch_us(_due) FROM ({rows}) LIMIT {AT_ONCE + 1:d}")
    return len(due) <= AT_ONCE and not np.ma.is_masked(due) and bool(np.all(due[1:] > due[:-1]))
