"""
The history of a migration: what the commands of the event log call.

Each method is one command: it opens what it needs, calls the event log once, and closes it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.access import Access
from dualgauge.model import Position
from dualgauge.project.settings import validate
from dualgauge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from dualgauge.eventlog.append import Appender
    from dualgauge.eventlog.compact import Compacted
    from dualgauge.eventlog.imports import Imported
    from dualgauge.eventlog.propose import Proposed
    from dualgauge.eventlog.table import Head
    from dualgauge.eventlog.verify import Verified


@dataclass(frozen=True)
class History(Access):
    """One project's event log: each method is one command."""

    def import_(
        self, source: str | None = None, *, every: bool = False, until: datetime | None = None, dry_run: bool = False
    ) -> Imported:
        """Append the events of one source (by name or file), or of all; see `eventlog.imports.run_import`."""
        from dualgauge.eventlog.imports import run_import
        from dualgauge.eventlog.sources import choose

        root = self.project.root
        chosen = choose(self.settings.sources, root, self.project.file, source, every=every)
        with self.engine() as engine, self.ledger_if_any() if dry_run else self.ledger() as ledger:
            log = self.log(ledger)
            return run_import(
                engine, log, chosen, now=self.clock(), until=until, dry_run=dry_run, progress=self.progress
            )

    @contextmanager
    def appender(self) -> Iterator[Appender]:
        """Open the log to append to it: `with migration.appender() as log: log.append([Event(...)])`."""
        from dualgauge.eventlog.append import open_appender

        with self.ledger() as ledger:
            opened = open_appender(self.log(ledger), clock=self.clock, sleep=self.sleep, chance=self.chance)
            with opened as made:
                yield made

    def propose(self, file: str, *, name: str | None = None, write: bool = False) -> Proposed:
        """Propose the source that reads a file (a path or glob from here); `write` adds it to the settings."""
        from dualgauge.eventlog.propose import add, propose

        settings, project = self.settings, self.project
        with self.engine() as engine:
            made = propose(
                engine, file, here=Path.cwd(), root=project.root, name=name,
                sources=settings.sources, declared=settings.log.columns, progress=self.progress,
            )  # fmt: skip
        return add(made, project, check=lambda raw: validate(Settings, raw, project.file), write=write)

    def head(self) -> Head:
        """Where the log stands."""
        return self.log().head()

    def events(self, first: int | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """
        Some events in the order of their positions: from `first`, or the last ones.

        Raises:
            NoLog: there is no log yet.
        """
        from dualgauge.eventlog.errors import NoLog

        log = self.log()
        if not log.exists:
            raise NoLog(log.path)
        head = log.head().last
        start = max(1, first if first is not None else head - limit + 1)
        upto = Position(min(head, start + limit - 1))
        with self.engine() as engine:
            relation = log.relation(upto, after=Position(start - 1))
            return list(engine.arrow(f"SELECT * FROM ({relation}) ORDER BY position").to_pylist())

    def compact(self, *, keep: timedelta | None = None, rows: int | None = None, dry_run: bool = False) -> Compacted:
        """
        Merge the log's small files; see `eventlog.compact.compact`.

        Args:
            keep: how long replaced files stay; a week by default.
            rows: events of a file, at most; about four million by default.
            dry_run: say what would be done.

        Raises:
            NoLog: there is no log yet.
        """
        from dualgauge.eventlog.compact import KEEP, ROWS, compact
        from dualgauge.eventlog.errors import NoLog

        if not self.log().exists:
            raise NoLog(self.log().path)
        with self.engine() as engine, self.ledger_if_any() if dry_run else self.ledger() as ledger:
            return compact(
                engine, self.log(ledger),
                now=self.clock(), sleep=self.sleep, chance=self.chance,
                rows=ROWS if rows is None else rows, keep=KEEP if keep is None else keep,
                dry_run=dry_run, progress=self.progress,
            )  # fmt: skip

    def verify(self, first: int = 1) -> Verified:
        """
        Look whether the log is what was written; files from those on that hold the position `first`.

        Raises:
            NoLog: there is no log yet.
            DamagedLog: so much is gone that the log cannot be opened; it says what.
        """
        from dualgauge.eventlog.verify import verify

        with self.ledger_if_any() as ledger, self.engine() as engine:
            # A commit reaches the log before the ledger: looked at in the other order, a writer at work seems a fault.
            kept = ledger.log_commits() if ledger else None
            later = ledger.log_commits if ledger else tuple
            return verify(engine, self.log(), kept, first=Position(first), later=later, progress=self.progress)
