"""
The log as a Delta Lake table: opening, reading, and the one way to append.

We write the Parquet file ourselves and commit it in a transaction (delta-rs shuffles rows within and across
files otherwise). Every commit carries the Delta transaction identifier `dualgauge` with the last position,
written through the very table object that the head was read from: of two writers that read the same head, the
second fails and starts over. Its metadata has one key, `dualgauge`, that says where everything stands.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction

from dualgauge.engines.duck import parquet
from dualgauge.eventlog.chain import GENESIS, file_digest, link
from dualgauge.eventlog.errors import (
    BadLogPath,
    ChangedType,
    DamagedLog,
    LogAndLedgerDisagree,
    LostRace,
    NoLog,
    NotALog,
)
from dualgauge.eventlog.files import make_durable, statistics
from dualgauge.ledger.values import LogCommit
from dualgauge.model import START, Position, canonical_json, quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dualgauge.eventlog.settings import LogSettings
    from dualgauge.ledger.ledger import Ledger

KEY = "dualgauge"
"""Name of the metadata key and of the Delta application transaction."""

TRIES = 20
"""How often a writer that lost the race for the next commit starts over."""

STAGING = "_staging"
"""Folder of files not yet committed; Delta readers ignore names that start with an underscore."""

_TO_DELTA = {
    "BIGINT": "long", "DOUBLE": "double", "VARCHAR": "string", "BOOLEAN": "boolean", "DATE": "date",
    "TIMESTAMP": "timestamp_ntz", "TIMESTAMPTZ": "timestamp", "BLOB": "binary",
}  # fmt: skip

CONFIGURATION: dict[str, str | None] = {
    # Expired commits are kept: their metadata holds the chain.
    "delta.enableExpiredLogCleanup": "false",
    "delta.appendOnly": "true",
}


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands: what the last commit's metadata says. Position 0 is an empty log."""

    last: Position = START
    first: Position = START
    rows: int = 0
    chain: str = GENESIS
    cursors: Mapping[str, Any] = field(default_factory=dict)

    def metadata(self) -> dict[str, str]:
        """The commit metadata that says this."""
        return {
            KEY: canonical_json(
                {
                    "first": self.first,
                    "last": self.last,
                    "rows": self.rows,
                    "chain": self.chain,
                    "cursors": self.cursors,
                }
            )
        }


class Behind(Exception):
    """Another writer committed first; read the head again."""


class EventLog:
    """One event log. `open_log` gives it; reading never writes."""

    def __init__(self, path: Path, settings: LogSettings, table: DeltaTable | None, ledger: Ledger | None) -> None:
        self.path = path
        self.settings = settings
        self._table = table
        self._ledger = ledger
        self._head: Head | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a log yet."""
        return self._table is not None

    def head(self) -> Head:
        """Where the log stood when it was opened, or last refreshed."""
        if self._head is None:
            self._head = self._read_head()
        return self._head

    def since(self) -> dict[str, Position]:
        """For each declared column, the position from which on events have it; one that no event has is left out."""
        found: dict[str, Position] = {}
        before = START
        for file in self.files():
            for name in self._columns_of(file):
                found.setdefault(name, Position(before + 1))
            before = Position(before + pq.read_metadata(file).num_rows)
        return {name: found[name] for name in self.settings.columns if name in found}

    def refresh(self) -> Head:
        """Look at the table again."""
        if self._table is not None:
            self._table.update_incremental()
        self._head = None
        return self.head()

    def files(self, upto: Position | None = None, after: Position = START) -> list[Path]:
        """The Parquet files that can hold positions after `after` up to `upto`, in the order of positions."""
        if self._table is None:
            return []
        actions = pa.table(self._table.get_add_actions(flatten=True)).to_pydict()
        found = sorted(
            (first, last, path)
            for path, first, last in zip(
                actions.get("path", []), actions.get("min.position", []), actions.get("max.position", []), strict=True
            )
        )
        return [self.path / path for first, last, path in found if last > after and (upto is None or first <= upto)]

    def relation(self, upto: Position, after: Position = START) -> str:
        """
        The events after `after` up to and including `upto`, as a SELECT for the engine.

        Columns are the envelope and the declared ones; a column declared later reads NULL in older files.
        """
        columns = self.settings.all_columns
        files = self.files(upto, after)
        if not files:
            return f"SELECT {_typed_nulls(columns)} WHERE false"
        chosen = ", ".join(quote(name) for name in columns)
        # The newest file has every column that was declared when it was written.
        newest = set(self._columns_of(files[-1]))
        body = parquet(files)
        if not set(columns) <= newest:
            body = f"SELECT {_typed_nulls(columns)} WHERE false UNION ALL BY NAME {body}"
        bounds = [f"position > {after:d}"] if after else []
        if upto < self.head().last:
            bounds.append(f"position <= {upto:d}")
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        return f"SELECT {chosen} FROM ({body}){where}"

    def create(self) -> None:
        """
        Create the log if there is none, and give it the columns declared since; types never change.

        Raises:
            ChangedType: a declared column has another type in the log.
        """
        if self._table is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._table = DeltaTable.create(
                    str(self.path),
                    _schema(self.settings.all_columns),
                    mode="ignore",
                    name=KEY,
                    configuration=CONFIGURATION,
                )
            except DeltaError:
                # Another process created it at the same time; if not, this raises again.
                self._table = DeltaTable(str(self.path))
            self._head = None
        for _ in range(TRIES):
            added = self._undeclared(self._table)
            if not added:
                return
            metadata = self.head().metadata()
            try:
                # Not retried by delta-rs: it would repeat this head after another writer's commit, and rewind the log.
                self._table.alter.add_columns(
                    added, commit_properties=CommitProperties(custom_metadata=metadata, max_commit_retries=0)
                )
            except CommitFailedError:
                self.refresh()
        raise LostRace(self.path, TRIES)

    def staging(self, name: str) -> Path:
        """A path for a file that is being written; it is on the log's own disk, so that moving it is one step."""
        folder = self.path / STAGING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def commit(self, staged: Path, after: Position, rows: int, cursors: Mapping[str, Any]) -> Head:
        """
        Append a staged Parquet file whose positions go on from `after`, and its sources' cursors with it.

        Raises:
            Behind: another writer committed first; nothing was appended, the staged file is left.
        """
        if self._table is None:
            raise NoLog(self.path)
        head = self.head()
        if head.last != after:
            raise Behind
        first, last = Position(head.last + 1), Position(head.last + rows)
        digest = file_digest(staged)
        chain = link(head.chain, first, last, digest)
        new = Head(last=last, first=first, rows=rows, chain=chain, cursors={**head.cursors, **cursors})
        name = f"events-{first:016d}-{last:016d}-{token(staged)}.parquet"
        final = self.path / name
        make_durable(staged, final)
        action = AddAction(
            path=name,
            size=final.stat().st_size,
            partition_values={},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps(statistics(final, rows)),
        )
        properties = CommitProperties(
            custom_metadata=new.metadata(), app_transactions=[Transaction(KEY, int(last))], max_commit_retries=0
        )
        try:
            self._table.create_write_transaction([action], "append", self._table.schema(), commit_properties=properties)
        except CommitFailedError as fault:
            final.replace(staged)
            raise Behind from fault
        # This may already see what another writer appended behind us, so the head is read again.
        self.refresh()
        if self._ledger is not None:
            self._ledger.add_log_commit(LogCommit(first, last, rows, digest, new.chain))
        return new

    def reconcile(self) -> None:
        """
        Bring the ledger's copy of the chain up to the log's: a crash between the two commits leaves it one behind.

        Raises:
            LogAndLedgerDisagree: the ledger holds a commit that the log does not.
        """
        if self._ledger is None:
            return
        # A commit reaches the log before the ledger: looked at in the other order, a writer at work seems a fault.
        known = self._ledger.log_commits()
        head = self.refresh()
        if known and known[-1].last > head.last:
            raise LogAndLedgerDisagree(self.path, known[-1].last, f"the log ends at {head.last:,}")
        if known and known[-1].last == head.last and known[-1].chain != head.chain:
            raise LogAndLedgerDisagree(self.path, head.last, "the digest chains differ")
        if self._table is None or sum(row.rows for row in known) == head.last:
            return
        have, previous = {row.last: row for row in known}, GENESIS
        for said in self._commits(head.last):
            row = have.get(said.last)
            digest = file_digest(self.files(said.last, Position(said.last - 1))[0]) if row is None else row.digest
            if row is None and link(previous, said.first, said.last, digest) != said.chain:
                raise LogAndLedgerDisagree(self.path, said.last, "the file's digest does not continue the chain")
            if row is not None and row.chain != said.chain:
                raise LogAndLedgerDisagree(self.path, said.last, "the digest chains differ")
            if row is None:
                self._ledger.add_log_commit(LogCommit(said.first, said.last, said.rows, digest, said.chain))
            previous = said.chain

    def _columns_of(self, file: Path) -> list[str]:
        """
        The columns of one of the log's files.

        Raises:
            DamagedLog: it is gone, or is no Parquet file any more.
        """
        try:
            return list(pq.read_schema(file).names)
        except (OSError, pa.ArrowException) as fault:
            reason = "it is not there" if isinstance(fault, FileNotFoundError) else str(fault).split("\n")[0]
            raise DamagedLog(self.path, f"{file.name} cannot be read ({reason.rstrip('.')})") from fault

    def _undeclared(self, table: DeltaTable) -> list[Field]:
        """The declared columns that the table lacks."""
        have = {f.name: _delta_text(f) for f in table.schema().fields}
        want = {name: _delta_type(kind) for name, kind in self.settings.all_columns.items()}
        for name, kind in want.items():
            if name in have and have[name] != _type_text(kind):
                raise ChangedType(name, have[name], self.settings.all_columns[name])
        return [Field(name, cast("Any", kind), nullable=True) for name, kind in want.items() if name not in have]

    def _commits(self, upto: Position) -> list[Head]:
        """What every appending commit up to a position says, oldest first."""
        assert self._table is not None  # noqa: S101  (callers hold a table)
        said = [json.loads(entry[KEY]) for entry in self._table.history() if KEY in entry]
        heads: dict[int, Head] = {}
        for one in reversed(said):
            heads.setdefault(
                one["last"], Head(**{**one, "last": Position(one["last"]), "first": Position(one["first"])})
            )
        return [head for head in heads.values() if head.rows and head.last <= upto]

    def _read_head(self) -> Head:
        if self._table is None:
            return Head()
        while True:
            # `history` reads the newest commit, which may be newer than the files that this object knows of.
            seen, newest = self._table.version(), self._table.history(1)
            self._table.update_incremental()
            if self._table.version() == seen:
                break
        for entry in newest:
            if KEY in entry:
                said = json.loads(entry[KEY])
                return Head(
                    last=Position(said["last"]), first=Position(said["first"]), rows=said["rows"],
                    chain=said["chain"], cursors=said["cursors"],
                )  # fmt: skip
        if self._table.version() == 0:
            return Head()
        raise NotALog(self.path, "its last commit was not written by dualgauge (no such key in its metadata)")


_MISREAD: Final = re.compile(r"[#?\\]|%[0-9A-Fa-f]{2}")
"""Seen: the Delta library makes an address of a path and does not get back to the same path where it holds these."""


def open_log(path: Path, settings: LogSettings, ledger: Ledger | None = None) -> EventLog:
    """
    Open the log at a path; where there is none, the log is empty and `exists` is false.

    Raises:
        NotALog: the folder holds something else.
        BadLogPath: the Delta library would take the path for another one.
    """
    if found := _MISREAD.search(str(path.absolute())):
        raise BadLogPath(path, found[0])
    if path.exists() and not path.is_dir():
        raise NotALog(path, "it is a file, and a log is a folder")
    try:
        table = DeltaTable(str(path)) if path.exists() else None
    except TableNotFoundError as fault:
        # A process killed while it created the log leaves an empty folder and an unfinished commit.
        if any(file.is_file() and not file.name.endswith(".tmp") for file in path.rglob("*")):
            raise NotALog(path, "it holds files, but no Delta Lake table") from fault
        table = None
    except (DeltaError, OSError) as fault:
        raise NotALog(path, _first_words(fault)) from fault
    if table is not None:
        names = {f.name for f in table.schema().fields}
        if not {"position", "event_id", "type", "occurred_at"} <= names:
            raise NotALog(path, "it is a Delta Lake table without an event's columns")
    return EventLog(path, settings, table, ledger)


def _first_words(fault: Exception) -> str:
    """What the Delta library says, without the addresses of its own code behind it."""
    return str(fault).strip().splitlines()[0].split(" 0: ")[0].removeprefix("Kernel error: ").rstrip(". ")


def token(staged: Path) -> str:
    """The part of a staged file's name that its place in the log is named after: what was left can be told by it."""
    return staged.stem.rpartition("-")[0].rpartition("-")[2][:16]


def _typed_nulls(columns: Mapping[str, str]) -> str:
    return ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in columns.items())


def _delta_type(kind: str) -> PrimitiveType:
    return PrimitiveType(_TO_DELTA.get(kind, kind.lower()))


def _type_text(kind: PrimitiveType) -> str:
    return str(kind.type)


def _delta_text(column: Field) -> str:
    kind = column.type
    return _type_text(kind) if isinstance(kind, PrimitiveType) else str(kind)


def _schema(columns: Mapping[str, str]) -> Schema:
    return Schema([Field(name, _delta_type(kind), nullable=True) for name, kind in columns.items()])
