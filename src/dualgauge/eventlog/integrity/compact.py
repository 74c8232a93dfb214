"""
Compaction: many small files become few large ones, and nobody who reads sees a difference.

Files that follow each other are written anew as one, with the same events in the same order at the same positions. A
commit takes the old ones out and puts the new one in; it names both with their digests, and adds a link to the chain
for each new file. Whoever opened the log before goes on reading the old files: they are removed by a later compaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from deltalake.transaction import RemoveAction

from dualgauge.engines.errors import EngineError
from dualgauge.engines.parquet_files import whole_parquet
from dualgauge.eventlog.errors import DamagedLog, LostRace, UnlikeCompaction
from dualgauge.eventlog.integrity.history import walk
from dualgauge.eventlog.integrity.verify_contents import in_order, same_events
from dualgauge.eventlog.table.chain import file_digest
from dualgauge.eventlog.table.commits import Made, Replaced, nothing_new
from dualgauge.eventlog.table.delta import added
from dualgauge.eventlog.table.event_files import event_name, statistics
from dualgauge.eventlog.table.event_log import Behind
from dualgauge.eventlog.table.ledger_copy import links_of
from dualgauge.eventlog.table.retry import TRIES, attempts
from dualgauge.eventlog.table.staging import staged
from dualgauge.eventlog.table.storage import digest
from dualgauge.model import Position, Progress, literal, silent

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from deltalake.transaction import AddAction

    from dualgauge.engines.duck import Engine
    from dualgauge.eventlog.integrity.history import Walked
    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.eventlog.table.event_log import EventLog
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
    table = log.table
    if not dry_run:
        log.reconcile()
    before = log.event_files()
    groups = _groups(log, before, rows)
    kept = log.ledger.log_commits() if log.ledger else ()
    history = walk(log.place, table.version(), kept)
    if not history.lost and history.problems:
        raise DamagedLog(log.path, history.problems[0].what)
    oldest = (now - keep).timestamp() * 1000
    gone = {old.name for at, old in history.replaced if at <= oldest} - {one.name for one in before}
    present = sorted(gone & set(log.place.names()))
    if not dry_run:
        work = _Compaction(engine, log, history, kept, now=now, sleep=sleep, chance=chance)
        done = []
        for number, group in enumerate(groups):
            progress("compacting", number, len(groups))
            with staged(log, now, "compacted.parquet") as (file,):
                if work.rewrite(group, file):
                    done.append(group)
        groups = done
        for name in present:
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
        try:
            own = sorted(log.columns_of(one))
        except DamagedLog:
            # Damaged, or replaced meanwhile: that is found where its bytes are looked at.
            own = columns
        if held + count > rows or own != columns:
            groups.append([])
            held = 0
        groups[-1].append(one)
        held, columns = held + count, own
    return [group for group in groups if len(group) > 1]


@dataclass(frozen=True)
class _Compaction:
    """What a compaction works with."""

    engine: Engine
    log: EventLog
    history: Walked
    kept: Sequence[LogCommit]
    now: datetime = field(kw_only=True)
    sleep: Callable[[float], None] = field(kw_only=True)
    chance: random.Random = field(kw_only=True)

    def rewrite(self, group: Sequence[EventFile], file: Path) -> bool:
        """
        Write a group anew as `file` and commit it; false where another compaction was quicker.

        Raises:
            DamagedLog: a file is not what was committed.
            UnlikeCompaction: what was written does not hold the same.
            LostRace: other writers were quicker, again and again.
        """
        try:
            replaced = self._proven(group)
            self._write(group, file)
        except (DamagedLog, EngineError):
            self.log.refresh()
            if not self._still(group):
                return False
            raise
        return self._commit(group, replaced, file)

    def _still(self, group: Sequence[EventFile]) -> bool:
        """Whether no other compaction has taken files of a group out."""
        return {one.name for one in group} <= {one.name for one in self.log.event_files()}

    def _proven(self, group: Sequence[EventFile]) -> tuple[Replaced, ...]:
        """The files of a group with their digests, after a look that they are what was committed."""
        log, found = self.log, []
        for one in group:
            try:
                made = digest(log.place, one.name)
            except FileNotFoundError as fault:
                raise DamagedLog(log.path, f"{one.name} is not there") from fault
            held = self.history.files.get(one.name)
            proven = held.proves(made) if held else None
            if proven is None:
                # A commit is gone that proved it; the ledger may know.
                proven = made in {link.digest for link in self.kept if (link.first, link.last) == (one.first, one.last)}
            if not proven:
                raise DamagedLog(log.path, f"{one.name} is not what was written")
            found.append(Replaced(one.name, one.first, one.last, made))
        return tuple(found)

    def _write(self, group: Sequence[EventFile], file: Path) -> None:
        """Write a group's events as one file, and look that it holds the same."""
        old = [self.log.place.local(one.name, one.size) for one in group]
        # The files are sorted and follow each other, and DuckDB keeps the order of what it reads.
        self.engine.execute(
            f"COPY ({whole_parquet(self.engine, old)}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)"
        )
        first, last = group[0].first, group[-1].last
        if not in_order(self.engine, file, first, last - first + 1) or not same_events(self.engine, old, file):
            raise UnlikeCompaction(self.log.path, first, last)

    def _keep(self, links: Sequence[LogCommit]) -> None:
        if self.log.ledger is not None:
            self.log.ledger.add_log_commits(links)

    def _commit(self, group: Sequence[EventFile], replaced: tuple[Replaced, ...], file: Path) -> bool:
        """Put the new file in the place of the old ones, behind whatever was appended meanwhile."""
        log, at = self.log, int(self.now.timestamp() * 1000)
        first, last = group[0].first, group[-1].last
        made = Made(first, last, file_digest(file), replaced)
        name = event_name(first, last, file)
        described, size = json.dumps(statistics(file, last - first + 1)), file.stat().st_size
        log.place.publish(file, name)
        links: list[LogCommit] = []
        actions: list[AddAction | RemoveAction] = [added(name, size, described, data_change=False)]
        actions += [
            RemoveAction(path=one.name, data_change=False, deletion_timestamp=at, size=one.size) for one in group
        ]
        for _ in attempts(self.sleep, self.chance):
            with log.turn():
                head = log.look()
                if name in {one.name for one in log.event_files()}:
                    # It went in, and what came back was that it did not: an object store may answer so.
                    self._keep(links)
                    return True
                if not self._still(group):
                    log.place.withdraw(name, file)
                    return False
                links = links_of([made], head.chain, head.last, head.step)
                new = replace(nothing_new(head), chain=links[-1].chain, step=links[-1].step)
                try:
                    log.transact(actions, new, head, [made])
                except Behind:
                    continue
            self._keep(links)
            return True
        log.place.withdraw(name, file)
        raise LostRace(log.path, TRIES)
