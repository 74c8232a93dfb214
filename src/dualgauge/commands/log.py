"""The commands of the event log: `migration.log`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.model import Position
from dualgauge.project.settings import validate
from dualgauge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from dualgauge.eventlog.append.appender import Appender
    from dualgauge.eventlog.imports.forget import Forgotten
    from dualgauge.eventlog.imports.run import Imported
    from dualgauge.eventlog.imports.tolerance import Tolerance
    from dualgauge.eventlog.integrity.compact import Compacted
    from dualgauge.eventlog.integrity.verify import Verified
    from dualgauge.eventlog.propose.propose import Proposed
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.event_log import EventLog
    from dualgauge.eventlog.table.lateness import Lateness
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.misfit import Misfit
    from dualgauge.workspace import Handles, Workspace


@dataclass(frozen=True, slots=True)
class LogShown:
    """Where the log stands, with some of its events in the order of their positions, or how late the newest are."""

    head: Head
    events: tuple[dict[str, Any], ...] = ()
    lateness: Lateness | None = None


@dataclass(frozen=True, slots=True)
class LogCommands:
    """The event log: import and append, look at it, verify, compact."""

    _workspace: Workspace

    def import_(
        self, source: str | None = None, *, every: bool = False, until: datetime | None = None, dry_run: bool = False,
        max_bad_rows: int | None = None,
    ) -> Imported:  # fmt: skip
        """
        Append the events of one source (by name or file), or of all: of several, in the order in which rows were due.

        With `max_bad_rows` as many rows that do not fit go into the quarantine; without, the first stops the import.
        """
        from dualgauge.eventlog.imports.run import run_import
        from dualgauge.eventlog.sources.mapping import choose

        workspace, now = self._workspace, self._workspace.clock()
        project, sources = workspace.project, workspace.settings.sources
        chosen = choose(sources, project.root, project.file, source, every=every)
        with workspace.open() as handles:
            ledger = handles.known_ledger if dry_run else handles.ledger
            quarantine = ledger.quarantine_of(workspace.settings.migration, workspace.who) if ledger else None
            keep = None if quarantine is None or dry_run else partial(quarantine.add, at=now)
            return run_import(
                handles.engine, handles.open_log_with(ledger), chosen, now=now, until=until, dry_run=dry_run,
                progress=workspace.progress, sleep=workspace.sleep, chance=workspace.chance,
                tolerance=tolerance_of(ledger, chosen, keep, max_bad_rows),
            )  # fmt: skip

    @contextmanager
    def appender(self) -> Iterator[Appender]:
        """Open the log to append to it: `with migration.appender() as log: log.append([Event(...)])`."""
        from dualgauge.eventlog.append.appender import open_appender

        workspace = self._workspace
        with workspace.open() as handles:
            log = handles.open_log_with(handles.ledger)
            with open_appender(log, clock=workspace.clock, sleep=workspace.sleep, chance=workspace.chance) as made:
                yield made

    def propose(self, file: str, *, name: str | None = None, write: bool = False) -> Proposed:
        """Propose the source that reads a file (a path or glob from here) or `URL#table`; `write` adds it."""
        from dualgauge.eventlog.propose.propose import add, propose

        workspace = self._workspace
        settings, project = workspace.settings, workspace.project
        with workspace.open() as handles:
            made = propose(
                handles.engine, file, here=Path.cwd(), root=project.root, name=name,
                sources=settings.sources, declared=settings.log.columns, progress=workspace.progress,
            )  # fmt: skip
        return add(made, project, check=lambda raw: validate(Settings, raw, project.file), write=write)

    def forget(self, source: str, *, dry_run: bool = False) -> Forgotten:
        """Let the next import read a source from its beginning; its events stay, and are known by their ids."""
        from dualgauge.eventlog.imports.forget import forget

        workspace = self._workspace
        with workspace.open() as handles:
            return forget(
                handles.log, source, [known.name for known in workspace.settings.sources],
                sleep=workspace.sleep, chance=workspace.chance, dry_run=dry_run,
            )  # fmt: skip

    def head(self) -> LogShown:
        """Where the log stands, and how late its newest events are. Raises DamagedLog."""
        from dualgauge.eventlog.table.lateness import lateness

        with self._workspace.open() as handles:
            return LogShown(handles.log.head(), lateness=lateness(handles.engine, handles.log))

    def show(self, first: int | None = None, limit: int = 20) -> LogShown:
        """
        Some events in the order of their positions: from `first`, or the last ones.

        Raises:
            NoLog: there is no log yet.
        """
        with self._workspace.open() as handles:
            log = _existing(handles)
            head = log.head().last
            start = max(1, first if first is not None else head - limit + 1)
            upto = Position(min(head, start + limit - 1))
            relation = log.relation(upto, after=Position(start - 1))
            events = handles.engine.arrow(f"SELECT * FROM ({relation}) ORDER BY position").to_pylist()
            return LogShown(log.head(), tuple(events))

    def compact(self, *, keep: timedelta | None = None, rows: int | None = None, dry_run: bool = False) -> Compacted:
        """
        Merge the log's small files into larger ones; positions and events stay what they are.

        Args:
            keep: how long replaced files stay; a week by default.
            rows: events of a file, at most; about four million by default.
            dry_run: say what would be done.

        Raises:
            NoLog: there is no log yet.
        """
        from dualgauge.eventlog.integrity.compact import KEEP, ROWS, compact

        workspace = self._workspace
        with workspace.open() as handles:
            _existing(handles)
            ledger = handles.known_ledger if dry_run else handles.ledger
            return compact(
                handles.engine, handles.open_log_with(ledger),
                now=workspace.clock(), sleep=workspace.sleep, chance=workspace.chance,
                rows=ROWS if rows is None else rows, keep=KEEP if keep is None else keep,
                dry_run=dry_run, progress=workspace.progress,
            )  # fmt: skip

    def verify(self, first: int = 1) -> Verified:
        """
        Look whether the log is what was written; files from those on that hold the position `first`.

        Raises:
            NoLog: there is no log yet.
            DamagedLog: so much is gone that the log cannot be opened; it says what.
        """
        from dualgauge.eventlog.integrity.verify import verify

        with self._workspace.open() as handles:
            ledger = handles.known_ledger
            # A commit reaches the log before the ledger: looked at in the other order, a writer at work seems a fault.
            kept = ledger.log_commits() if ledger else None
            later = ledger.log_commits if ledger else tuple
            return verify(
                handles.engine, handles.log, kept, first=Position(first), later=later,
                progress=self._workspace.progress,
            )  # fmt: skip


def _existing(handles: Handles) -> EventLog:
    from dualgauge.eventlog.errors import NoLog

    if not handles.log.exists:
        raise NoLog(handles.log.path)
    return handles.log


def tolerance_of(
    ledger: Ledger | None,
    chosen: Sequence[Source],
    keep: Callable[[Sequence[Misfit]], int] | None,
    max_bad_rows: int | None,
) -> Tolerance | None:
    """What an import may set aside. Rows that were set aside before stop none, whatever it is asked for."""
    from dualgauge.eventlog.imports.tolerance import Tolerance

    if max_bad_rows is not None:
        return Tolerance(max_bad_rows, keep)
    names = {source.name for source in chosen}
    known = {row.id for row in ledger.quarantine.rows() if row.misfit.source in names} if ledger else set()
    # A little more than is known, so that the first row that is not can be named.
    return Tolerance(len(known) + 1_000, keep, known, new=False) if known else None
