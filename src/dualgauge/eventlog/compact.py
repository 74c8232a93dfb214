"""
Compaction: many small files become few large ones, and nobody who reads sees a difference.

Files that follow each other are written anew as one, with the same events in the same order at the same positions. A
commit takes the old ones out and puts the new one in; it names both with their digests, and adds a link to the chain
for each new file. Whoever opened the log before goes on reading the old files: they are removed by a later compaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq
from deltalake.transaction import RemoveAction

from dualgauge.engines.duck import parquet
from dualgauge.eventlog.append import TRIES, pause
from dualgauge.eventlog.chain import file_digest
from dualgauge.eventlog.commits import Made, Replaced
from dualgauge.eventlog.errors import DamagedLog, LostRace, UnlikeCompaction
from dualgauge.eventlog.files import statistics
from dualgauge.eventlog.mirror import links_of
from dualgauge.eventlog.place import digest
from dualgauge.eventlog.staging import staged
from dualgauge.eventlog.table import Behind, added, token
from dualgauge.eventlog.walk import walk
from dualgauge.model import Position, Progress, literal, silent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from deltalake.transaction import AddAction

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.table import EventFile, EventLog
    from dualgauge.eventlog.walk import Walked
    from dualgauge.ledger.values import LogCommit

ROWS: Final = 4_194_304
"""Events of a file that compaction makes, at most; one that has half of them is left as it is."""

KEEP: Final = timedelta(days=7)
"""How long replaced files stay for who opened the log before."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """
    What a compaction did: how many files the log had before and has after.

    `ranges` of positions were written anew, each with how many files it had; `removed` counts files that earlier
    compactions had replaced.
    """

    before: int
    after: int
    ranges: tuple[tuple[Position, Position, int], ...]
    removed: int


def compact(
    engine: Engine,
    log: EventLog,
    *,
    now: datetime,
    sleep: Callable[[float], None],
    chance: random.Random,
    rows: int = ROWS,
    keep: timedelta = KEEP,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Compacted:
    """
    Merge small files that follow each other, one range of positions after the other, each in a commit of its own.

    Args:
        engine: reads and writes the files.
        log: the log, with its ledger.
        now: the time.
        sleep, chance: how to wait where another writer was quicker.
        rows: events of a file, at most.
        keep: files replaced longer ago than this are removed.
        dry_run: say what would be done, and change nothing.
        progress: told the ranges.

    Raises:
        NoLog: there is no log.
        DamagedLog: a file is not what was committed; nothing is written over it.
        LostRace: other writers were quicker, again and again; the ranges done before are done.
    """
    if not dry_run:
        log.reconcile()
    before = log.event_files()
    groups = _groups(log, before, rows)
    kept = log.ledger.log_commits() if log.ledger else ()
    history = walk(log.place, log.version, kept)
    oldest = (now - keep).timestamp() * 1000
    gone = [name for at, name in history.replaced if at < oldest]
    present = set(log.place.names()) & set(gone)
    if not dry_run:
        for number, group in enumerate(groups):
            progress("compacting", number, len(groups))
            replaced = _proven(log, history, kept, group)
            with staged(log, now, "compacted.parquet") as (file,):
                _write(engine, log, group, file)
                _commit(log, group, replaced, file, now=now, sleep=sleep, chance=chance)
        for name in sorted(present):
            log.place.remove(name)
    return Compacted(
        before=len(before),
        after=len(before) - sum(len(group) - 1 for group in groups),
        ranges=tuple((group[0].first, group[-1].last, len(group)) for group in groups),
        removed=len(present),
    )


def _groups(log: EventLog, files: Sequence[EventFile], rows: int) -> list[list[EventFile]]:
    """Runs of two or more small files with the same columns, each of at most so many events."""
    groups: list[list[EventFile]] = [[]]
    columns: list[str] = []
    held = 0
    for one in files:
        count = one.last - one.first + 1
        if count * 2 > rows:
            groups.append([])
            held = 0
            continue
        # Which columns an event had when it was taken in is told by its file, so unlike files are kept apart.
        own = pq.read_schema(log.place.local(one.name, one.size)).names
        if held + count > rows or own != columns:
            groups.append([])
            held = 0
        groups[-1].append(one)
        held, columns = held + count, own
    return [group for group in groups if len(group) > 1]


def _proven(
    log: EventLog, history: Walked, kept: Sequence[LogCommit], group: Sequence[EventFile]
) -> tuple[Replaced, ...]:
    """The files of a group with their digests, after a look that they are what was committed. Raises DamagedLog."""
    known = {one.place[0]: one.digest for one in kept if not one.step}
    found = []
    for one in group:
        try:
            made = digest(log.place, one.name)
        except FileNotFoundError as fault:
            raise DamagedLog(log.path, f"{one.name} is not there") from fault
        held = history.files.get(one.name)
        proven = None if held is None else held.proves(made)
        if proven is False or (proven is None and known.get(one.last, made) != made):
            raise DamagedLog(log.path, f"{one.name} is not what was written")
        found.append(Replaced(one.name, one.first, one.last, made))
    return tuple(found)


def _write(engine: Engine, log: EventLog, group: Sequence[EventFile], file: Path) -> None:
    """Write a group's events as one file, and look that it holds the same. Raises UnlikeCompaction."""
    old = parquet([log.place.local(one.name, one.size) for one in group])
    # The files are sorted and follow each other, and DuckDB keeps the order of what it reads.
    engine.execute(f"COPY ({old}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")
    said = "count(*), bit_xor(hash(e)), sum(hash(e)::HUGEINT)"
    new = f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({literal(str(file))}, file_row_number = true)"
    astray = engine.row(
        f"SELECT count(*) FROM read_parquet({literal(str(file))}, file_row_number = true) "
        f"WHERE position - file_row_number <> {group[0].first:d}"
    )[0]
    if astray or engine.row(f"SELECT {said} FROM ({old}) e") != engine.row(f"SELECT {said} FROM ({new}) e"):
        raise UnlikeCompaction(log.path, group[0].first, group[-1].last)


def _commit(
    log: EventLog,
    group: Sequence[EventFile],
    replaced: tuple[Replaced, ...],
    file: Path,
    *,
    now: datetime,
    sleep: Callable[[float], None],
    chance: random.Random,
) -> None:
    """Put the new file in the place of the old ones, behind whatever was appended meanwhile. Raises LostRace."""
    first, last = group[0].first, group[-1].last
    made = Made(first, last, file_digest(file), replaced)
    name = f"events-{first:016d}-{last:016d}-{token(file)}.parquet"
    described, size = json.dumps(statistics(file, last - first + 1)), file.stat().st_size
    log.place.publish(file, name)
    for tries in range(TRIES):
        head = log.head()
        if {one.name for one in group} - {one.name for one in log.event_files()}:
            # Another compaction was quicker, and did this.
            log.place.withdraw(name, file)
            return
        links = links_of([made], head.chain, head.last, head.step)
        new = replace(log.nothing_new(), chain=links[-1].chain, step=links[-1].step)
        actions: list[AddAction | RemoveAction] = [
            added(name, size, described, data_change=False),
            *(RemoveAction(one.name, False, int(now.timestamp() * 1000), one.size) for one in group),  # noqa: FBT003  (its order)
        ]  # fmt: skip
        try:
            log.transact(actions, new, [made])
        except Behind:
            sleep(pause(tries, chance))
            log.refresh()
            continue
        if log.ledger is not None:
            log.ledger.add_log_commits(links)
        return
    log.place.withdraw(name, file)
    raise LostRace(log.path, TRIES)
