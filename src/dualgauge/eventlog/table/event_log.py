"""
The log as a Delta Lake table: opening, reading, and the one way to append.

We write the Parquet file ourselves and commit it in a transaction (delta-rs shuffles rows within and across
files otherwise). Every commit carries the Delta transaction identifier `dualgauge` with the last position,
written through the very table object that the head was read from: of two writers that read the same head, the
second fails and starts over. What a commit's metadata says stands in `commits`.

Whoever commits names the head that its work rests on, and holds the object's lock from the comparison to the commit: a
thread that looks at the table meanwhile cannot move what the commit rests on. In a folder writers also take turns
(`turnstile`), from the look at the head to the commit.
"""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError

from dualgauge.engines.parquet_files import reading, scan
from dualgauge.eventlog.errors import (
    DamagedLog,
    ForeignCommit,
    LogAndLedgerDisagree,
    LogReplaced,
    LostRace,
    NoLog,
    NotALog,
)
from dualgauge.eventlog.table import ledger_copy
from dualgauge.eventlog.table.chain import file_digest, link
from dualgauge.eventlog.table.commits import KEY, Head, file_of, nothing_new, ours, read_commit, removed
from dualgauge.eventlog.table.delta import CONFIGURATION, added, first_words, refused_by_system, schema, undeclared
from dualgauge.eventlog.table.ends import Ends
from dualgauge.eventlog.table.event_files import event_name, files_of, statistics, touch
from dualgauge.eventlog.table.forks import using_delta
from dualgauge.eventlog.table.retry import TRIES, attempts
from dualgauge.eventlog.table.storage import Folder, Place, staging_path
from dualgauge.eventlog.table.turnstile import PATIENCE, Turnstile
from dualgauge.ledger.values import LogCommit
from dualgauge.model import START, Position, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deltalake.transaction import AddAction, RemoveAction

    from dualgauge.eventlog.settings import LogSettings
    from dualgauge.eventlog.table.commits import Made
    from dualgauge.eventlog.table.event_files import EventFile
    from dualgauge.ledger.ledger import Ledger


class Behind(Exception):
    """Another writer committed first; read the head again."""


class EventLog:
    """One event log. `open_log` gives it; reading never writes. Safe to share between threads."""

    def __init__(
        self,
        place: Place,
        settings: LogSettings,
        table: DeltaTable | None,
        ledger: Ledger | None,
        patience: float = PATIENCE,
    ) -> None:
        self.place = place
        self.settings = settings
        self._table = table
        self._born = place.born()
        self._ledger = ledger
        self._head: Head | None = None
        self._files: list[EventFile] | None = None
        self._columns: dict[str, list[str]] = {}
        self._in_doubt = False
        self._owed: list[LogCommit] = []
        self._unmirrored = False
        # Of the table, and of what was read from it: they change together, under whoever asks.
        self._lock = threading.RLock()
        # Of what the ledger is owed: it is given in the order of the commits, and only one gives it.
        self._mirroring = threading.Lock()
        self._turnstile = Turnstile(place.path, patience) if isinstance(place, Folder) else None

    @property
    def path(self) -> str:
        """Where the log is, as messages say it."""
        return self.place.shown

    @property
    def exists(self) -> bool:
        """Whether there is a log yet."""
        return self._table is not None

    @property
    def ledger(self) -> Ledger | None:
        """Where commits are kept too."""
        return self._ledger

    @property
    def table(self) -> DeltaTable:
        """The Delta table. Raises NoLog."""
        with self._lock:
            self._settle()
            if self._table is None:
                raise NoLog(self.path)
            return self._table

    @property
    def id(self) -> str | None:
        """The table's id, which no other log has; None without a log."""
        return None if self._table is None else str(self._table.metadata().id)

    @property
    def version(self) -> int:
        """The table's version that `head` speaks of; -1 without a log."""
        with self._lock:
            self.head()
            return -1 if self._table is None else self._table.version()

    def head(self) -> Head:
        """Where the log stood when it was opened, or last refreshed."""
        with self._lock:
            self._settle()
            if self._head is None:
                self._head = self._read_head()
            return self._head

    def look(self) -> Head:
        """Where the log stands; in an object store, where looking costs a journey, `head`."""
        with self._lock:
            if self._table is not None and isinstance(self.place, Folder):
                self._still_there()
                following = self.place.path / file_of(self._table.version() + 1)
                if following.exists():
                    return self.refresh()
            return self.head()

    def turn(self) -> AbstractContextManager[None]:
        """
        A writer's turn, from its look at the head to its commit; what can be done before is done before.

        In a folder alone; not to be asked for by who has it.
        """
        return nullcontext() if self._turnstile is None else self._turnstile.turn()

    def since(self) -> dict[str, Position]:
        """For each declared column, the position from which on events have it; one that no event has is left out."""
        found: dict[str, Position] = {}
        for file in self.event_files():
            for name in self.columns_of(file):
                found.setdefault(name, file.first)
        return {name: found[name] for name in self.settings.columns if name in found}

    def _settle(self) -> None:
        """Look again behind a commit of which nobody knows yet what became of it."""
        if self._in_doubt:
            self.refresh()

    def refresh(self) -> Head:
        """
        Look at the table again.

        Raises:
            LogReplaced: the log that was opened is there no more.
            DamagedLog: commits are gone, or cannot be read.
        """
        with self._lock:
            if self._table is not None:
                self._still_there()
                try:
                    self._table.update_incremental()
                except DeltaError as fault:
                    raise DamagedLog(self.path, first_words(fault)) from fault
            self._head = self._files = None
            self._in_doubt = False
            return self.head()

    def _still_there(self) -> None:
        """Make sure that the next commit is behind what was read: the commits of two logs would be read as one's."""
        born = self.place.born()
        if born != self._born:
            raise LogReplaced(self.path, gone=born is None)

    def event_files(self, upto: Position | None = None, after: Position = START) -> list[EventFile]:
        """
        The Parquet files that can hold positions after `after` up to `upto`, in the order of positions.

        Raises:
            DamagedLog: the commits do not say it.
        """
        with self._lock:
            self._settle()
            if self._files is None:
                self._files = [] if self._table is None else files_of(self._table, self.path)
            found = self._files
        return [one for one in found if one.last > after and (upto is None or one.first <= upto)]

    def files(self, upto: Position | None = None, after: Position = START) -> list[Path]:
        """The same as paths of this machine."""
        return [self.place.local(one.name, one.size) for one in self.event_files(upto, after)]

    def relation(self, upto: Position, after: Position = START) -> str:
        """
        The events after `after` up to and including `upto`, as a SELECT for the engine.

        Columns are the envelope and the declared ones; a column declared later reads NULL in older files.
        """
        columns = self.settings.all_columns
        files = self.event_files(upto, after)
        if not files:
            return f"SELECT {_typed_nulls(columns)} WHERE false"
        # The newest file has every column that was declared when it was written.
        newest = set(self.columns_of(files[-1]))
        body = f"SELECT * FROM {scan([self.place.local(one.name, one.size) for one in files])}"
        if not set(columns) <= newest:
            body = f"SELECT {_typed_nulls(columns)} WHERE false UNION ALL BY NAME {body}"
        bounds = [f"position > {after:d}"] if after else []
        if upto < self.head().last:
            bounds.append(f"position <= {upto:d}")
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        return f"SELECT {reading(columns)} FROM ({body}){where}"

    def create(self, *, sleep: Callable[[float], None] = time.sleep, chance: random.Random | None = None) -> None:
        """
        Create the log if there is none, and give it the columns declared since; types never change.

        Args:
            sleep, chance: how to wait where another writer was quicker.

        Raises:
            ChangedType: a declared column has another type in the log.
            LogForked: this process was forked from one that had used a log.
        """
        if self._table is None:
            if isinstance(self.place, Folder):
                self.place.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with using_delta(self.path):
                    self._table = DeltaTable.create(
                        self.place.uri,
                        schema(self.settings.all_columns),
                        mode="ignore",
                        name=KEY,
                        configuration=CONFIGURATION,
                        storage_options=self.place.options,
                        # Seen: retried, it goes in again, as version 1 of the table that another process has made.
                        commit_properties=CommitProperties(max_commit_retries=0),
                    )
            except DeltaError:
                # Another process created it at the same time; if not, this raises again.
                self._table = DeltaTable(self.place.uri, storage_options=self.place.options)
            self._head, self._born = None, self.place.born()
        for _ in attempts(sleep, chance or random.Random()):  # noqa: S311  (pauses want no secrecy)
            if not undeclared(self._table.schema(), self.settings.all_columns):
                return
            with self.turn(), self._lock:
                head = self.look()
                columns = undeclared(self._table.schema(), self.settings.all_columns)
                properties = CommitProperties(
                    # Not retried by delta-rs: it would repeat this head behind another writer's, and rewind the log.
                    custom_metadata=nothing_new(head).metadata(),
                    max_commit_retries=0,
                )
                # Also where it went in: the table may have moved on past what the head was read from.
                with suppress(CommitFailedError):
                    if columns:
                        self._table.alter.add_columns(columns, commit_properties=properties)
                self.refresh()
        raise LostRace(self.path, TRIES)

    def staging(self, name: str) -> Path:
        """A path for a file that is being written; it is on the log's own disk, so that moving it is one step."""
        return staging_path(self.place.work, name)

    def commit(self, staged: Path, base: Head, rows: int, cursors: Mapping[str, Any]) -> Head:
        """
        Append a staged Parquet file whose positions go on from the head `base`, and its sources' cursors with it.

        The ledger gets its copy by `mirror`, which is to follow.

        Raises:
            Behind: the log is not, or no longer, at `base`; nothing was appended, the staged file is left.
            OSError: the disk did not take it, and nothing was appended.
        """
        if base != self.head():
            raise Behind
        first, last = Position(base.last + 1), Position(base.last + rows)
        digest = file_digest(staged)
        chain = link(base.chain, first, last, digest)
        new = Head(last=last, first=first, rows=rows, chain=chain, cursors={**base.cursors, **cursors})
        name = event_name(first, last, staged)
        action = added(name, staged.stat().st_size, json.dumps(statistics(staged, rows)), data_change=True)
        touch(staged)
        with self._lock:
            version = self.version + 1
            try:
                self.place.publish(staged, name)
                self.transact([action], new, base)
            except BaseException as fault:
                if not self._landed(name, version):
                    # What was sent to an object store may yet arrive, but for a race that was lost.
                    if isinstance(fault, Behind) or isinstance(self.place, Folder):
                        self.place.withdraw(name, staged)
                    raise
                if not isinstance(fault, Exception):
                    raise
                self.refresh()
            self._owed.append(LogCommit(first, last, rows, digest, chain))
        return new

    def mirror(self) -> None:
        """
        Give the ledger what was committed through this object, and what it did not take before.

        Outside the turn: the next writer need not wait for a second database.
        """
        with self._mirroring:
            with self._lock:
                owed, self._owed = self._owed, []
            failed, self._unmirrored = self._unmirrored, True
            if failed:
                self.reconcile()
            elif owed and self._ledger is not None:
                self._ledger.add_log_commits(owed)
            self._unmirrored = False

    def note(self, cursors: Mapping[str, Any], base: Head) -> Head:
        """
        Commit cursors alone, behind the head `base`; None takes a source's cursor away.

        Raises:
            Behind: the log is not, or no longer, at `base`; nothing changed.
        """
        merged = {name: one for name, one in {**base.cursors, **cursors}.items() if one is not None}
        new = replace(nothing_new(base), cursors=merged)
        self.transact([], new, base)
        return new

    def transact(
        self, actions: Sequence[AddAction | RemoveAction], new: Head, base: Head, made: Sequence[Made] = ()
    ) -> None:
        """
        Commit right behind the head `base`, or not at all.

        Raises:
            Behind: the log is not, or no longer, at `base`.
        """
        properties = CommitProperties(
            custom_metadata=new.metadata(made), app_transactions=[Transaction(KEY, int(new.last))], max_commit_retries=0
        )
        # Delta compares with the version that the table object is at: with the lock, that is the one of `base`.
        with self._lock:
            if base != self.head():
                raise Behind
            table = self.table
            # Whatever comes now, the next one to ask looks again: a commit that nobody heard of would be written over.
            self._in_doubt = True
            try:
                table.create_write_transaction(list(actions), "append", table.schema(), commit_properties=properties)
            except CommitFailedError as fault:
                raise Behind from fault
            except OSError as fault:
                raise refused_by_system(fault, self.path) from fault
            # The next one to ask looks again, and not within the turn, for which another writer may wait.
            self._head = self._files = None

    def ends(self, position: Position) -> Ends:
        """Where the log's commits ended, from a position on: one walk back from the head."""
        heads = [self.head()]
        for version in range(self.version - 1, -1, -1):
            if heads[-1].last < position:
                break
            try:
                commit = read_commit(self.place, version)
            except (FileNotFoundError, ValueError):
                # Removed or rewritten: `log verify` says so. What it would have said is not known.
                break
            if commit.head is not None:
                heads.append(commit.head)
        return Ends(tuple(heads))

    def had(self, known: str | None, position: Position) -> bool:
        """Whether this log is, or was, what a build at a position knows it by: see `Ends.known_by`."""
        return self.ends(position).had(known, position)

    def _landed(self, name: str, version: int) -> bool:
        """Whether a version's commit put a file in: what failed may have failed after it did."""
        try:
            return name in read_commit(self.place, version).added
        except FileNotFoundError:
            return False

    def reconcile(self) -> None:
        """
        Bring the ledger's copy of the chain up to the log's: a crash between the two commits leaves it behind.

        Raises:
            LogAndLedgerDisagree: the ledger holds a commit that the log does not.
        """
        if self._ledger is None:
            return
        # A commit reaches the log before the ledger: looked at in the other order, a writer at work seems a fault.
        links = self._ledger.log_commits()
        with self._lock:
            head, version = self.refresh(), self.version
        if self._table is None:
            if links:
                raise LogAndLedgerDisagree(self.path, links[-1].place[0], f"the log ends at {head.last:,}")
            return
        if ledger_copy.whole(links) == len(links) and (links[-1].chain if links else Head().chain) == head.chain:
            return
        ledger_copy.bring_up(self.place, self._ledger, links, version, head.last)

    def columns_of(self, file: EventFile) -> list[str]:
        """The columns of one of the log's files. Raises DamagedLog where it is gone, or no Parquet file any more."""
        if file.name in self._columns:
            return self._columns[file.name]
        # Imported here: whoever only looks at the head does not wait for it.
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            found = list(pq.read_schema(self.place.local(file.name, file.size)).names)
        except (OSError, pa.ArrowException) as fault:
            reason = "it is not there" if isinstance(fault, FileNotFoundError) else str(fault).split("\n")[0]
            raise DamagedLog(self.path, f"{file.name} cannot be read ({reason.rstrip('.')})") from fault
        return self._columns.setdefault(file.name, found)

    def _read_head(self) -> Head:
        if self._table is None:
            return Head()
        version = self._table.version()
        try:
            commit = read_commit(self.place, version)
        except FileNotFoundError as fault:
            last = max((one.last for one in self.event_files()), default=START)
            raise DamagedLog(self.path, removed(self.place, version, version, last)) from fault
        except ValueError as fault:
            raise DamagedLog(self.path, f"the commit of version {version} cannot be read ({fault})") from fault
        if commit.head is None and version > 0:
            if ours(self.place, version):
                raise ForeignCommit(self.path, version, commit.operation, file_of(version))
            raise NotALog(self.path, "no commit of it was written by dualgauge (no such key in their metadata)")
        return commit.head or Head()


def _typed_nulls(columns: Mapping[str, str]) -> str:
    return ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in columns.items())
