"""Point reads: what an application asks. Light: no engine, no Arrow."""

from __future__ import annotations

import datetime as dt
import os
import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from dualgauge.model import Side, quote
from dualgauge.stores.errors import BadKey, NotBuilt, ReaderClosed, ReaderForked
from dualgauge.stores.long_decimals import written
from dualgauge.stores.point_keys import check_key
from dualgauge.stores.serving import checkpoints
from dualgauge.stores.serving.builds import build_name, mark_of
from dualgauge.stores.serving.freshness import TIMEOUT, wait_for
from dualgauge.stores.sqlite.database import opened
from dualgauge.stores.uuids import UUID_GLOB, uuid_text
from dualgauge_router.sqlite_files import over_forks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_LOOKED_AT: Final = 100

_POSITION: Final = f"""
SELECT c.position FROM {{schema}}.{checkpoints.SERVED} AS s
JOIN {{schema}}.{checkpoints.CHECKPOINT} AS c ON c.view = s.view AND c.build = s.build
WHERE s.view = ?
"""

_LETS_GO: Final = 2.0
"""Seconds that a fork waits for the reads under way. None takes as long, unless its own thread forks in a signal."""


@dataclass(frozen=True, slots=True)
class _Lookup:
    """How a view is read, as long as the schema has this version."""

    version: int
    key: tuple[sa.Column[Any], ...]
    statement: str


class Reader:
    """
    Point reads of one side through one open connection: for an application that reads often.

    Each read is a statement of its own, so it sees the build that is served at that moment. Safe to share between
    threads, which then wait for each other; each with a reader of its own is quicker. A forked process opens its own.
    """

    def __init__(self, engine: sa.Engine, side: Side) -> None:
        self._engine = engine
        self._opened = opened(engine)
        self._side = side
        self._lookups: dict[str, _Lookup] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._process = os.getpid()
        self._connect()
        _ALL.add(self)

    def close(self) -> None:
        """Let the read that is under way end, and let go of the connection."""
        if os.getpid() != self._process:
            # The parent's connection, and a lock that perhaps a thread of the parent had.
            return
        with self._lock:
            self._closed = True
            self._disconnect()

    def hold(self) -> bool:
        """Have no read under way, and no connection; false where that does not come about. For a fork."""
        # What a forked process opens is right only where the parent had no connection at the fork (`sqlite_files`).
        if not self._lock.acquire(timeout=_LETS_GO):
            return False
        self._disconnect()
        return True

    def go_on(self) -> None:
        """Let reads go on after `hold`."""
        self._lock.release()

    def inherit(self) -> None:
        """In a forked process: nothing, since every read there is refused."""

    def get(
        self, view: str, key: Sequence[str], *, at_least: int | None = None, timeout: float = TIMEOUT
    ) -> dict[str, Any] | None:  # fmt: skip
        """
        The row of a key as readers see it, values as they are stored; None where there is none.

        Args:
            view: the view's name.
            key: the key's parts as text, in the key's order.
            at_least: the position of the log that the row must have been read at, or past it; it is waited for.
            timeout: for how many seconds at most.

        Raises:
            NotBuilt: the view has no build that is served.
            NotFresh: the build did not come to the position in time.
            BadKey: too many or too few parts, or one that its column cannot hold.
            ReaderClosed: the `with` that opened it is over.
            ReaderForked: another process opened it.
            StoreHeld, NotADatabase, StoreRefused: the file cannot be read.
        """
        if at_least is not None:
            # A build that readers get never goes back, nor does one that takes its place.
            wait_for(lambda: self._position(view), f"{self._side.value}.{view}", at_least, timeout)
        with self._connected():
            return self._get(view, key)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """For one read, whose faults are told as a store's: a connection, which no other thread uses meanwhile."""
        if os.getpid() != self._process:
            # Before the lock: a thread that had it at the fork is not here to let go of it.
            raise ReaderForked(self._side.value, self._process)
        with self._lock:
            if self._closed:
                raise ReaderClosed(self._side.value)
            if self._connection is None:
                self._connect()
            raw = self._raw
            try:
                yield
            except (sa.exc.DBAPIError, raw.Error) as fault:
                error = self._opened.error(fault.orig if isinstance(fault, sa.exc.DBAPIError) else fault)
                if error is None:
                    raise
                raise error from fault

    def _position(self, view: str) -> int:
        """How far the build is that readers get of a view."""
        with self._connected():
            # Without a build there may be no table to ask.
            self._lookup(view)
            found = self._raw.execute(_POSITION.format(schema=quote(self._side.schema)), (view,)).fetchone()
            if found is None:
                # It was taken from readers since it was looked up.
                del self._lookups[view]
                self._lookup(view)
            return int(found[0]) if found else 0

    def _connect(self) -> None:
        # Without a BEGIN: a transaction left open would keep writers out, or readers at an old state.
        self._connection: sa.Connection | None = self._engine.connect().execution_options(dualgauge_begin="")
        self._raw: Any = self._connection.connection.driver_connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._engine.dispose()
        self._connection = self._raw = None
        self._lookups.clear()

    def _get(self, view: str, key: Sequence[str]) -> dict[str, Any] | None:
        while True:
            lookup = self._lookup(view)
            try:
                row = self._row(view, lookup, key)
            except (BadKey, self._raw.OperationalError):
                if self._version() == lookup.version:
                    raise
            else:
                if self._version() == lookup.version:
                    return row
            # A replay changed the schema since the look-up was made, perhaps the key: look again.
            del self._lookups[view]

    def _row(self, view: str, lookup: _Lookup, key: Sequence[str]) -> dict[str, Any] | None:
        label, names = f"{self._side.value}.{view}", [column.name for column in lookup.key]
        check_key(label, names, key)
        values = tuple(_value(label, names, column, text) for column, text in zip(lookup.key, key, strict=True))
        cursor = self._raw.execute(lookup.statement, values)
        found = cursor.fetchone()
        if found is None and (canonical := self._as_uuids(view, lookup, values)) != values:
            cursor = self._raw.execute(lookup.statement, canonical)
            found = cursor.fetchone()
        return None if found is None else dict(zip((one[0] for one in cursor.description), found, strict=True))

    def _as_uuids(self, view: str, lookup: _Lookup, values: tuple[object, ...]) -> tuple[object, ...]:
        """
        The key with each UUID that is written in another way (capitals, braces) as the store writes it.

        SQLite has no type for UUID: a column is one where it holds nothing else, as far as some rows tell.
        """
        found = list(values)
        for at, (column, value) in enumerate(zip(lookup.key, values, strict=True)):
            canonical = uuid_text(value) if isinstance(value, str) else None
            if canonical in (None, value):
                continue
            name = f"v.{quote(column.name)}"
            some = f"(SELECT {name} AS c FROM {quote(self._side.schema)}.{quote(view)} AS v LIMIT {_LOOKED_AT})"
            other = f"SELECT 1 FROM {some} WHERE typeof(c) <> 'text' OR c NOT GLOB ?"
            if self._raw.execute(other, (UUID_GLOB,)).fetchone() is None:
                found[at] = canonical
        return tuple(found)

    def _lookup(self, view: str) -> _Lookup:
        if view not in self._lookups:
            version = self._version()
            connection = self._connection
            assert connection is not None  # noqa: S101  (`get` sees to it)
            served = checkpoints.served(connection, self._side)
            build = served.get(view)
            if build is None:
                raise NotBuilt(f"{self._side.value}.{view}", served)
            # The build's own key: the shape may be ahead of what readers have.
            table = sa.Table(build_name(view, build), sa.MetaData(), schema=self._side.schema)
            try:
                sa.inspect(connection).reflect_table(table, None)
            except sa.exc.NoSuchTableError:
                if self._version() == version:
                    raise
                return self._lookup(view)
            key = tuple(table.primary_key.columns)
            # Qualified: SQLite would take a quoted name that is no column for a text.
            where = " AND ".join(
                f"v.{quote(column.name)} = {mark_of(column.type, at)}" for at, column in enumerate(key, 1)
            )
            statement = f"SELECT * FROM {quote(self._side.schema)}.{quote(view)} AS v WHERE {where}"
            self._lookups[view] = _Lookup(version, key, statement)
        return self._lookups[view]

    def _version(self) -> int:
        """A number that changes with every table or view that is made or dropped in the side's file."""
        version: int = self._raw.execute(f"PRAGMA {self._side.schema}.schema_version").fetchone()[0]
        return version


def _value(  # noqa: PLR0911  (one row a type reads best)
    view: str, names: Sequence[str], column: sa.Column[Any], text: str
) -> object:
    """A key's part as its column stores it."""
    try:
        match column.type:
            case sa.Boolean():
                return {"true": 1, "1": 1, "false": 0, "0": 0}[text.lower()]
            case sa.Integer():
                return _number(text)
            case sa.Double() | sa.Float():
                return float(text)
            case sa.Numeric(scale=scale):
                # None is the key of no row: the column holds no number of so many digits.
                return written(text, scale or 0)
            case sa.Date():
                return dt.date.fromisoformat(text).isoformat()
            case sa.DateTime():
                return _stamp(text)
            case sa.Time():
                return dt.time.fromisoformat(text).isoformat("microseconds")
            case sa.LargeBinary():
                # As JSON output writes it.
                return bytes.fromhex(text)
            case _:
                text.encode()  # what is no text, as from broken arguments, SQLite could not take
                return text
    except (ValueError, KeyError) as fault:
        raise BadKey(view, names, f"{text!r} is no value of {column.name!r} ({str(column.type).lower()})") from fault


def _number(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return number


def _stamp(text: str) -> str:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    # Not strftime: it writes the year 5 as 5.
    return moment.isoformat(" ", "microseconds")


_ALL: Final[weakref.WeakSet[Reader]] = weakref.WeakSet()
"""Every reader of this process."""

over_forks(_ALL, Reader.hold, Reader.go_on, Reader.inherit)
