"""
Point reads of one side's file, by `sqlite3` alone: a key, a part of a key, a page.

Each read is one transaction that sees one build, also where readers are given another one meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualgauge_router.model import quote
from dualgauge_router.sqlite_files import Watched, in_the_way, inherited, over_forks, watched
from dualgauge_router.stores.errors import (
    BadKey,
    NoStore,
    NotIndexed,
    NotServed,
    NoTypes,
    OtherKey,
    ReaderClosed,
    StoreBusy,
    StoreForked,
    TooManyRows,
    Unreadable,
)
from dualgauge_router.stores.freshness import TIMEOUT, wait_for
from dualgauge_router.stores.long_decimals import DECLARED, as_kept
from dualgauge_router.stores.values import bound, decoder, is_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dualgauge_router.model import Side

LIMIT: Final = 1_000
"""Rows that a read of many gives at most where it does not say how many."""

_MOST: Final = 1 << 40
"""More rows than any read gives."""

_IDLE: Final = 8
"""Connections that are kept open at most while nobody reads."""

PATIENCE: Final = 2.0
"""Seconds to wait for another connection's locks: readers of a write-ahead log hardly ever do."""

_LETS_GO: Final = 2.0
"""Seconds that a fork waits for the reads under way."""


class Page(NamedTuple):
    """Rows in the order of their key, and what the next page begins behind: a key's columns and its values, or None."""

    rows: list[dict[str, Any]]
    after: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Table:
    """How a view is read, as long as the schema has this version. `ways` are the key, and what indexes begin with."""

    version: int
    build: int
    key: tuple[str, ...]
    kinds: Mapping[str, str]
    marks: Mapping[str, str]
    decoders: tuple[tuple[str, str, Callable[[Any], Any] | None], ...]
    ways: tuple[tuple[str, ...], ...]
    select: str


class SideReader:
    """
    Reads what readers see of one side. Safe between threads and tasks; a forked process goes on by itself.

    No connection is open while a process forks: see `sqlite_files`.
    """

    def __init__(self, file: Path, side: Side, *, patience: float = PATIENCE) -> None:
        """
        Take a place; nothing is opened.

        Args:
            file: the side's file, which may come later.
            side: which one it is, for messages.
            patience: seconds to wait for another connection's locks.
        """
        self._file, self._side, self._patience = file, side, patience
        self._tables: dict[tuple[tuple[int, int], str], Table] = {}
        self._idle: list[sqlite3.Connection] = []
        self._most = _IDLE
        self._out = 0
        self._opened = (0, 0)
        self._closed, self._held = False, 0
        # One that a signal's handler may enter which reads in the middle of a read.
        self._turn = threading.Condition()
        _ALL.add(self)

    def rest(self) -> None:
        """Hold the file only while something is read, from now on."""
        with self._turn:
            self._most = 0
            self._let_go()

    def close(self) -> None:
        """Let go of the file; reads under way end first by themselves."""
        with self._turn:
            self._closed = True
            self._let_go()

    def get(
        self, view: str, key: Sequence[object] | object, *, at_least: int | None = None, timeout: float = TIMEOUT
    ) -> dict[str, Any] | None:  # fmt: skip
        """
        The row of a key; None where there is none.

        Args:
            view: the view's name.
            key: the key's parts in its order, each as the value of its column or as text; a key of one part by itself.
            at_least: the position of the log that the row must have been read at, or past it; it is waited for.
            timeout: for how many seconds at most.

        Raises:
            NotServed: readers have no build of the view.
            BadKey: too many or too few parts, or one that its column cannot hold.
            NotFresh: the build did not come to the position in time.
            NoTypes: a build of an older dualgauge, without types.
            NoStore, StoreBusy, StoreForked, ReaderClosed: the file cannot be read.
        """
        self._wait(view, at_least, timeout)
        parts = _parts(key)
        with self._reading(view) as (connection, table):
            values = self._key(view, table, parts)
            where = " AND ".join(_equal(table, name, at) for at, name in enumerate(table.key, 1))
            found = connection.execute(f"{table.select} WHERE {where}", values).fetchone()
        return None if found is None else self._decoded(view, table, found)

    def many(
        self, view: str, where: Mapping[str, object], *, limit: int = LIMIT, at_least: int | None = None,
        timeout: float = TIMEOUT,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """
        All rows whose columns have these values, in the order of their key.

        Args:
            view: as `get` takes it.
            where: values by the names of the first columns of the key, or of an index.
            limit: how many rows at most.
            at_least: as `get` takes it.
            timeout: as `get` takes it.

        Raises:
            NotIndexed: no index begins with these columns.
            TooManyRows: there are more than `limit`.
            NotServed, BadKey, NotFresh, NoTypes, NoStore, StoreBusy, StoreForked, ReaderClosed: as `get`.
        """
        self._wait(view, at_least, timeout)
        if not where:
            with self._reading(view) as (_, table):
                raise NotIndexed(f"{self._side.value}.{view}", ["nothing"], table.ways)
        rows = self._some(view, where, None, min(limit, _MOST) + 1)
        if len(rows) > limit:
            raise TooManyRows(f"{self._side.value}.{view}", limit)
        return [one for one, _ in rows]

    def page(
        self, view: str, *, where: Mapping[str, object] | None = None, after: Sequence[Any] | None = None,
        limit: int = 100, at_least: int | None = None, timeout: float = TIMEOUT,
    ) -> Page:  # fmt: skip
        """
        Some rows in the order of their key; a row that comes or goes meanwhile takes no other with it.

        Args:
            view: as `get` takes it.
            where: as `many` takes it; None for all rows.
            after: `after` of the page before: the columns of the key, and its values; lists, and texts of the values,
                are taken too. None for the first page.
            limit: how many rows at most, one at the least.
            at_least: as `get` takes it.
            timeout: as `get` takes it.

        Raises:
            OtherKey: the page before is of a side with another key.
            NotIndexed, NotServed, BadKey, NotFresh, NoTypes, NoStore, StoreBusy, StoreForked, ReaderClosed: as `many`.
        """
        self._wait(view, at_least, timeout)
        most = max(1, min(limit, _MOST))
        rows = self._some(view, where or {}, after, most + 1)
        return Page([one for one, _ in rows[:most]], rows[most - 1][1] if len(rows) > most else None)

    def spelt(
        self, view: str, key: Sequence[object] | object = (), *, where: Mapping[str, object] | None = None,
        after: Sequence[Any] | None = None,
    ) -> object:  # fmt: skip
        """
        What is asked for in one spelling of it, for SQLite and for JSON: `7`, `"7"` and `"07"` are one key of a BIGINT.

        Args:
            view: as `get` takes it.
            key: as `get` takes it.
            where: as `many` takes it.
            after: as `page` takes it.

        Raises:
            NotServed, BadKey, NoTypes, NoStore, StoreBusy, StoreForked, ReaderClosed: as `get`.
        """
        with self._reading(view) as (_, table):
            label = f"{self._side.value}.{view}"
            behind = None if after is None else [list(after[0]), self._key(view, table, tuple(after[1]))]
            if where is not None:
                return [{name: _bound(label, table, name, value) for name, value in where.items()}, behind]
            return self._key(view, table, _parts(key))

    def key(self, view: str) -> dict[str, str]:
        """The columns of the view's key, in its order, with their DuckDB types. Raises as `get` does."""
        with self._reading(view) as (_, table):
            return {name: table.kinds[name] for name in table.key}

    def position(self, view: str) -> int:
        """The position of the log that readers' build of a view is at. Raises as `get` does."""
        with self._reading(view) as (connection, table):
            sql = "SELECT position FROM _dualgauge_checkpoint WHERE view = ? AND build = ?"
            found = connection.execute(sql, (view, table.build)).fetchone()
        return int(found[0]) if found else 0

    def _wait(self, view: str, at_least: int | None, timeout: float) -> None:
        if at_least is not None:
            # A build that readers get never goes back, nor does one that takes its place.
            wait_for(lambda: self.position(view), f"{self._side.value}.{view}", at_least, timeout)

    def _some(
        self, view: str, where: Mapping[str, object], after: Sequence[Any] | None, most: int
    ) -> list[tuple[dict[str, Any], tuple[Any, ...]]]:
        """Rows in the order of their key, each with that as `page` takes it."""
        label = f"{self._side.value}.{view}"
        with self._reading(view) as (connection, table):
            if where and not any(set(where) == set(way[: len(where)]) for way in table.ways):
                raise NotIndexed(label, where, table.ways)
            values = [_bound(label, table, name, value) for name, value in where.items()]
            terms = [_equal(table, name, at) for at, name in enumerate(where, 1)]
            columns = tuple(f"{name} {table.kinds[name]}" for name in table.key)
            if after is not None:
                if len(after) != 2 or list(after[0]) != list(columns):  # noqa: PLR2004  (as it is given)
                    raise OtherKey(view, columns)
                behind = self._key(view, table, tuple(after[1]))
                if None in behind:
                    raise BadKey(label, table.key, f"{tuple(after[1])!r} is the key of no page")
                values += behind
                marks = (table.marks[name].format(at) for at, name in enumerate(table.key, len(where) + 1))
                terms.append(f"({', '.join(map(quote, table.key))}) > ({', '.join(marks)})")
            condition = f" WHERE {' AND '.join(terms)}" if terms else ""
            order = ", ".join(map(quote, table.key))
            found = connection.execute(f"{table.select}{condition} ORDER BY {order} LIMIT {most:d}", values).fetchall()
        decoded = (self._decoded(view, table, row) for row in found)
        # Of what is kept as JSON, the text: many texts are one value.
        texts = [at for at, (_, kind, _) in enumerate(table.decoders) if is_json(kind)]
        places = [next(at for at, (one, *_) in enumerate(table.decoders) if one == name) for name in table.key]
        return [
            (one, (columns, tuple(row[at] if at in texts else one[table.decoders[at][0]] for at in places)))
            for one, row in zip(decoded, found, strict=True)
        ]

    def _key(self, view: str, table: Table, parts: Sequence[object]) -> list[object]:
        label = f"{self._side.value}.{view}"
        if len(parts) != len(table.key):
            raise BadKey.of_count(label, table.key, len(parts))
        return [_bound(label, table, name, part) for name, part in zip(table.key, parts, strict=True)]

    def _decoded(self, view: str, table: Table, row: Sequence[Any]) -> dict[str, Any]:
        found = {}
        for value, (name, kind, decode) in zip(row, table.decoders, strict=True):
            try:
                found[name] = value if value is None or decode is None else decode(value)
            except (ArithmeticError, TypeError, ValueError) as fault:
                raise Unreadable(f"{self._side.value}.{view}", name, kind) from fault
        return found

    @contextmanager
    def _reading(self, view: str) -> Iterator[tuple[sqlite3.Connection, Table]]:
        """A transaction, and how the view is read in it."""
        connection, opened = self._taken()
        try:
            connection.execute("BEGIN")
            try:
                yield connection, self._table(connection, opened, view)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as fault:
            # What it says of the file may be told by a new one only.
            self._given(connection, None)
            raise self._told(fault) from fault
        except BaseException:
            self._given(connection, opened)
            raise
        self._given(connection, opened)

    def _taken(self) -> tuple[sqlite3.Connection, tuple[int, int]]:
        """A connection that nobody else has, and which file it is to."""
        # Under the lock: a fork must not come between.
        with self._turn:
            if self._held == threading.get_ident():
                # A signal's handler, in the middle of a fork of this thread.
                raise StoreForked(self._file)
            self._turn.wait_for(lambda: not self._held)
            if self._closed:
                raise ReaderClosed(self._side.value)
            try:
                there = self._file.stat()
            except OSError as fault:
                raise NoStore(self._file, fault.strerror or str(fault)) from fault
            if self._opened != (there.st_dev, there.st_ino):
                # Another file has its name now, as after a store was thrown away and made anew.
                self._let_go()
                self._tables.clear()
                self._opened = there.st_dev, there.st_ino
            if self._idle:
                connection = self._idle.pop()
                self._out += 1
                return connection, self._opened
            if inherited([self._file]):
                raise StoreForked(self._file)
            try:
                connection = self._connected()
            except sqlite3.Error as fault:
                raise self._told(fault) from fault
            self._out += 1
            return connection, self._opened

    def _connected(self) -> sqlite3.Connection:
        # mode=rw: a reader of a write-ahead log writes beside it; and a file that is gone must not come back empty.
        uri = f"{self._file.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self._patience, isolation_level=None, factory=Watched, check_same_thread=False
        )
        watched(connection, self._file)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _given(self, connection: sqlite3.Connection, opened: tuple[int, int] | None) -> None:
        """Take a connection back; None: it is to be used no more, as where another file has the name by now."""
        with self._turn:
            self._out -= 1
            if opened == self._opened and not self._closed and len(self._idle) < self._most:
                self._idle.append(connection)
            else:
                connection.close()
            self._turn.notify_all()

    def _let_go(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _told(self, fault: sqlite3.Error) -> Exception:
        """What SQLite's error means to whoever reads."""
        if in_the_way(fault):
            return StoreBusy(self._file, self._patience)
        return NoStore(self._file, str(fault))

    def _unserved(self, label: str, served: Iterable[str]) -> Exception:
        return NotServed(label, served)

    def _guessed(self, label: str, declared: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002  (others guess)
        """The types of the columns of a build that has none beside it; `declared` are SQLite's."""
        raise NoTypes(label)

    def _table(self, connection: sqlite3.Connection, opened: tuple[int, int], view: str) -> Table:
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        # By the file, too: another one may have changed its schema as often.
        table = self._tables.get((opened, view))
        if table is None or table.version != version:
            table = self._tables[opened, view] = self._found(connection, view, version)
        return table

    def _found(self, connection: sqlite3.Connection, view: str, version: int) -> Table:
        label = f"{self._side.value}.{view}"
        served: dict[str, int] = {}
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_dualgauge_served'").fetchone():
            served = dict(connection.execute("SELECT view, build FROM _dualgauge_served ORDER BY view").fetchall())
        if view not in served:
            raise self._unserved(label, served)
        build = served[view]
        name = f"{view}__b{build}"
        declared, places = {}, {}
        for _, column, kind, _, _, place in connection.execute(f"PRAGMA table_info({quote(name)})").fetchall():
            declared[column] = kind
            if place:
                places[place] = column
        key = tuple(places[place] for place in sorted(places))
        kinds = _kinds(connection, view, build) or self._guessed(label, declared)
        # The key first: SQLite may keep it as an index of its own.
        ways = dict.fromkeys([key])
        for _, index, _, origin, *_ in connection.execute(f"PRAGMA index_list({quote(name)})").fetchall():
            if origin == "c":
                columns = connection.execute(f"PRAGMA index_info({quote(index)})").fetchall()
                ways[tuple(one for _, _, one in columns)] = None
        marks = {column: as_kept("?{0}") if kind.startswith(DECLARED) else "?{0}" for column, kind in declared.items()}
        select = f"SELECT {', '.join(map(quote, kinds))} FROM {quote(view)}"
        decoders = tuple((column, kind, decoder(kind)) for column, kind in kinds.items())
        return Table(version, build, key, kinds, marks, decoders, tuple(ways), select)

    def _hold(self) -> bool:
        """Have no read under way and no connection open; false where that does not come about. For a fork."""
        if not self._turn.acquire(timeout=_LETS_GO):
            return False
        # New reads wait: those of busy threads would never leave a moment without one.
        self._held = threading.get_ident()
        if not self._turn.wait_for(lambda: not self._out, _LETS_GO):
            self._go_on()
            return False
        self._let_go()
        return True

    def _go_on(self) -> None:
        self._held = 0
        self._turn.notify_all()
        self._turn.release()

    def _inherit(self) -> None:
        """In a forked process: no lock and no connection is this one's."""
        self._turn, self._idle, self._out = threading.Condition(), [], 0
        self._held = 0


def _kinds(connection: sqlite3.Connection, view: str, build: int) -> dict[str, str] | None:
    """The types of a build's columns, by their names in order; None where it has none beside it."""
    with suppress(sqlite3.OperationalError):
        # Older stores have no such column.
        sql = "SELECT columns FROM _dualgauge_checkpoint WHERE view = ? AND build = ?"
        found = connection.execute(sql, (view, build)).fetchone()
        if found and found[0]:
            kinds: dict[str, str] = json.loads(found[0])
            return kinds
    return None


def _parts(key: Sequence[object] | object) -> tuple[object, ...]:
    return tuple(key) if isinstance(key, (list, tuple)) else (key,)


def _bound(label: str, table: Table, name: str, value: object) -> object:
    kind = table.kinds[name]
    try:
        return bound(kind, value)
    except (ValueError, RecursionError) as fault:
        try:
            shown = repr(value)
        except ValueError:
            # An integer of thousands of digits.
            shown = f"one of type {type(value).__name__}"
        raise BadKey(label, table.key, f"{shown} is no value of {name!r} ({kind})") from fault


def _equal(table: Table, name: str, at: int) -> str:
    return f"{quote(name)} = {table.marks[name].format(at)}"


_ALL: Final[weakref.WeakSet[SideReader]] = weakref.WeakSet()
"""Every reader of this process."""

over_forks(_ALL, SideReader._hold, SideReader._go_on, SideReader._inherit)  # noqa: SLF001  (this module's own class)
