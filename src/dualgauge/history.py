"""
The history of a migration: what the commands of the event log call.

Each method is one command: it opens what it needs, calls the event log once, and closes it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualgauge.access import Access
from dualgauge.model import Position
from dualgauge.project.settings import validate
from dualgauge.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from dualgauge.eventlog.append.appender import Appender
    from dualgauge.eventlog.imports.forget import Forgotten
    from dualgauge.eventlog.imports.retry import Retried
    from dualgauge.eventlog.imports.run import Imported
    from dualgauge.eventlog.imports.tolerance import Tolerance
    from dualgauge.eventlog.integrity.compact import Compacted
    from dualgauge.eventlog.integrity.verify import Verified
    from dualgauge.eventlog.propose.propose import Proposed
    from dualgauge.eventlog.sources.source import Source
    from dualgauge.eventlog.table.commits import Head
    from dualgauge.eventlog.table.lateness import Lateness
    from dualgauge.ledger.ledger import Ledger
    from dualgauge.ledger.misfit import Misfit, QuarantinedRow, RowState


@dataclass(frozen=True)
class History(Access):
    """One project's event log: each method is one command."""

    def import_(
        self, source: str | None = None, *, every: bool = False, until: datetime | None = None, dry_run: bool = False,
        max_bad_rows: int | None = None,
    ) -> Imported:  # fmt: skip
        """
        Append the events of one source (by name or file), or of all; see `eventlog.imports.run.run_import`.

        With `max_bad_rows` as many rows that do not fit go into the quarantine; without, the first stops the import.
        """
        from dualgauge.eventlog.imports.run import run_import
        from dualgauge.eventlog.sources.mapping import choose

        root, now = self.project.root, self.clock()
        chosen = choose(self.settings.sources, root, self.project.file, source, every=every)
        with self.engine() as engine, self.ledger_if_any() if dry_run else self.ledger() as ledger:
            keep = None if ledger is None or dry_run else partial(ledger.quarantine.add, at=now)
            return run_import(
                engine, self.log(ledger), chosen, now=now, until=until, dry_run=dry_run, progress=self.progress,
                sleep=self.sleep, chance=self.chance, tolerance=self._tolerance(ledger, chosen, keep, max_bad_rows),
            )  # fmt: skip

    def _tolerance(
        self,
        ledger: Ledger | None,
        chosen: Sequence[Source],
        keep: Callable[[Sequence[Misfit]], int] | None,
        max_bad_rows: int | None,
    ) -> Tolerance | None:
        """What an import may set aside. Rows that were set aside before stop none, whatever it is asked for."""
        from dualgauge.eventlog.imports.tolerance import Tolerance

        if max_bad_rows is not None:
            return Tolerance(max_bad_rows, keep)
        names = {one.name for one in chosen}
        known = {one.id for one in ledger.quarantine.rows() if one.misfit.source in names} if ledger else set()
        # A little more than is known, so that the first row that is not can be named.
        return Tolerance(len(known) + 1_000, keep, known, new=False) if known else None

    def quarantined(self, *, state: RowState | None = None, source: str | None = None) -> tuple[QuarantinedRow, ...]:
        """The rows of the quarantine, of one state or source or of all, by source, place and row."""
        with self.ledger_if_any() as ledger:
            return ledger.quarantine.rows(state=state, source=source) if ledger else ()

    def retry(
        self,
        ids: Sequence[str] = (),
        *,
        source: str | None = None,
        text: str | None = None,
        dry_run: bool = False,
    ) -> Retried:
        """
        Read waiting rows of the quarantine again, some or all, and append those that fit now.

        Args:
            ids: the beginnings of their ids; all that wait without any.
            source: only rows of this source.
            text: what to read in the place of the text of the one row that is named.
            dry_run: say what would be done.

        Raises:
            TextForMany: a text is given, and not one row is named.
        """
        from dualgauge.eventlog.imports.errors import TextForMany
        from dualgauge.eventlog.imports.retry import retry

        if text is not None and len(ids) != 1:
            raise TextForMany(len(ids))
        with self.engine() as engine, self.ledger() as ledger:
            chosen = ledger.quarantine.chosen(ids, source=source)
            return retry(
                engine, self.log(ledger), ledger.quarantine, chosen, self.settings.sources, root=self.project.root,
                now=self.clock(), sleep=self.sleep, chance=self.chance, text=text, dry_run=dry_run,
                progress=self.progress,
            )  # fmt: skip

    def skip(
        self, ids: Sequence[str] = (), *, source: str | None = None, reason: str | None = None, dry_run: bool = False
    ) -> tuple[QuarantinedRow, ...]:
        """
        Let waiting rows of the quarantine be, for good: some or all. Gives them as they were.

        Args:
            ids: the beginnings of their ids; all that wait without any.
            source: only rows of this source.
            reason: why; kept behind the reason why they do not fit.
            dry_run: say what would be done.
        """
        from dualgauge.ledger.misfit import RowState, Settled

        with self.ledger() as ledger:
            chosen = ledger.quarantine.chosen(ids, source=source)
            if not dry_run:
                said = f" (skipped: {reason})" if reason else ""
                ledger.quarantine.settle(
                    [Settled(one.id, RowState.SKIPPED, f"{one.misfit.reason}{said}") for one in chosen], at=self.clock()
                )
            return chosen

    @contextmanager
    def appender(self) -> Iterator[Appender]:
        """Open the log to append to it: `with migration.appender() as log: log.append([Event(...)])`."""
        from dualgauge.eventlog.append.appender import open_appender

        with self.ledger() as ledger:
            opened = open_appender(self.log(ledger), clock=self.clock, sleep=self.sleep, chance=self.chance)
            with opened as made:
                yield made

    def propose(self, file: str, *, name: str | None = None, write: bool = False) -> Proposed:
        """Propose the source that reads a file (a path or glob from here); `write` adds it to the settings."""
        from dualgauge.eventlog.propose.propose import add, propose

        settings, project = self.settings, self.project
        with self.engine() as engine:
            made = propose(
                engine, file, here=Path.cwd(), root=project.root, name=name,
                sources=settings.sources, declared=settings.log.columns, progress=self.progress,
            )  # fmt: skip
        return add(made, project, check=lambda raw: validate(Settings, raw, project.file), write=write)

    def forget(self, source: str, *, dry_run: bool = False) -> Forgotten:
        """Let the next import read a source from its beginning; its events stay. See `eventlog.imports.forget`."""
        from dualgauge.eventlog.imports.forget import forget

        return forget(
            self.log(), source, [one.name for one in self.settings.sources],
            sleep=self.sleep, chance=self.chance, dry_run=dry_run,
        )  # fmt: skip

    def lateness(self) -> Lateness:
        """How late the newest events are; see `eventlog.table.lateness`. Raises DamagedLog."""
        from dualgauge.eventlog.table.lateness import lateness

        with self.engine() as engine:
            return lateness(engine, self.log())

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
        Merge the log's small files; see `eventlog.integrity.compact.compact`.

        Args:
            keep: how long replaced files stay; a week by default.
            rows: events of a file, at most; about four million by default.
            dry_run: say what would be done.

        Raises:
            NoLog: there is no log yet.
        """
        from dualgauge.eventlog.errors import NoLog
        from dualgauge.eventlog.integrity.compact import KEEP, ROWS, compact

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
        from dualgauge.eventlog.integrity.verify import verify

        with self.ledger_if_any() as ledger, self.engine() as engine:
            # A commit reaches the log before the ledger: looked at in the other order, a writer at work seems a fault.
            kept = ledger.log_commits() if ledger else None
            later = ledger.log_commits if ledger else tuple
            return verify(engine, self.log(), kept, first=Position(first), later=later, progress=self.progress)
