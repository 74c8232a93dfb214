"""
A store some of whose v1 views are adopted: tables of the user's own, read where they are.

Nothing here writes to such a table. Its database is opened only where an adopted view is asked for, and everything
that builds goes to the store beneath.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dualgauge.model import Position, Side
from dualgauge.stores.errors import AdoptedTableMissing, BadPosition, NoTable, ReaderForked, TablesRefused
from dualgauge.stores.external.tables import open_tables
from dualgauge.stores.point_keys import check_key
from dualgauge.stores.serving.checkpoints import ADOPTED, Checkpoint
from dualgauge_router.stores.errors import ReaderClosed
from dualgauge_router.stores.freshness import TIMEOUT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from dualgauge.stores.adopted.adoption import Adoption
    from dualgauge.stores.external.tables import Tables, TableSnapshot
    from dualgauge.stores.serving.port import Only, PointReader, ServedStore, Snapshot


@dataclass(frozen=True, slots=True)
class Moment:
    """One state of the adopted tables' database; `positions` are those of tables that are known by what feeds them."""

    snapshot: TableSnapshot
    positions: Mapping[str, Position]


class AdoptedRows:
    """One adopted table inside one read transaction. `columns` have DuckDB types that hold every value there is."""

    def __init__(self, snapshot: TableSnapshot, table: str) -> None:
        self._snapshot = snapshot
        self._table = table
        self.columns: Mapping[str, str] = snapshot.columns(table)

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """All rows, in batches of at most `size`; an empty table gives none."""
        return self._snapshot.batches(self._table, list(self.columns), size)


class AdoptingStore:
    """See `port.ServedStore`. `inner` has the builds; v1's adopted tables are in a database of the user's own."""

    def __init__(
        self,
        inner: ServedStore,
        adoptions: Mapping[str, Adoption],
        url: str,
        root: Path,
        moment: Moment | None = None,
    ) -> None:
        self._inner = inner
        self._url = url
        self._root = root
        self._moment = moment
        self.adoptions = dict(adoptions)

    def at(self, moment: Moment) -> AdoptingStore:
        """The store whose adopted tables are read in a snapshot that is open."""
        return AdoptingStore(self._inner, self.adoptions, self._url, self._root, moment)

    def tables(self) -> AbstractContextManager[Tables]:
        """The database of the adopted tables. Raises BadTablesUrl, NoTablesFile."""
        return open_tables(self._url, root=self._root)

    def declared(self, adoption: Adoption) -> dict[str, str]:
        """
        The columns of an adopted table, with their types as its database writes them.

        Raises:
            AdoptedTableMissing: the table is not there.
            TablesUnreachable, StoreHeld: the database cannot be read.
        """
        with self.tables() as tables, tables.snapshot() as snapshot:
            return _declared(snapshot, adoption)

    def positions(self) -> dict[str, Position | None]:
        """How far each adopted table is, and nothing else of it; None where it cannot tell."""
        with self.tables() as tables, tables.snapshot() as snapshot:
            return {name: _position(snapshot, one) for name, one in self.adoptions.items()}

    def served_builds(self, side: Side) -> dict[str, Checkpoint]:
        """What readers get of each view: builds, and v1's adopted tables as build 0; see the port."""
        found = self._inner.served_builds(side)
        if side is Side.V1:
            with self.tables() as tables, tables.snapshot() as snapshot:
                found |= {name: _checkpoint(snapshot, one) for name, one in self.adoptions.items()}
        return found

    def served(self, side: Side) -> dict[str, int]:
        """Which build of each view readers get; an adopted table is build 0."""
        found = self._inner.served(side)
        return found | dict.fromkeys(self.adoptions, ADOPTED) if side is Side.V1 else found

    @contextmanager
    def snapshot(self, side: Side) -> Iterator[Snapshot]:
        """One side at one moment: one transaction for the builds, and one for the adopted tables."""
        with self._inner.snapshot(side) as inner:
            if side is not Side.V1:
                yield inner
                return
            with ExitStack() as stack:
                yield _Snapshot(self, inner, stack, self._moment)

    def point(self, side: Side, view: str, key: Sequence[str]) -> dict[str, Any] | None:
        """The row of a key; see the port."""
        with self.reader(side) as reader:
            return reader.get(view, key)

    @contextmanager
    def reader(self, side: Side) -> Iterator[PointReader]:
        """Many point reads of one side."""
        with self._inner.reader(side) as inner:
            if side is not Side.V1:
                yield inner
                return
            with ExitStack() as stack:
                reader = _Reader(self, inner, stack)
                stack.callback(reader.close)
                yield reader


class _Snapshot:
    """See `port.Snapshot`. The adopted tables' transaction begins when the first of them is asked for."""

    def __init__(self, store: AdoptingStore, inner: Snapshot, stack: ExitStack, moment: Moment | None) -> None:
        self._store = store
        self._inner = inner
        self._stack = stack
        self._opened = moment.snapshot if moment else None
        self._positions = moment.positions if moment else {}

    def served(self, view: str) -> Checkpoint | None:
        """The build of a view that readers get, or its adopted table."""
        adoption = self._store.adoptions.get(view)
        if adoption is None:
            return self._inner.served(view)
        found = _checkpoint(self._tables(), adoption)
        return replace(found, position=self._positions[view]) if view in self._positions else found

    def export(
        self, view: str, columns: Mapping[str, str], to: Path, only: Only | None = None
    ) -> AbstractContextManager[Iterator[int]]:  # fmt: skip
        """Begin to write the rows of the served build; see the port."""
        return self._inner.export(view, columns, to, only)

    def exported(self, view: str, columns: Mapping[str, str]) -> tuple[dict[str, str], str]:
        """How what `export` wrote is read."""
        return self._inner.exported(view, columns)

    def bound(self, view: str, columns: Mapping[str, str]) -> list[str]:
        """What the store keeps of columns of a build."""
        return self._inner.bound(view, columns)

    def place(self, view: str, key: Sequence[str], after: tuple[Any, ...] | None, rows: int) -> tuple[Any, ...] | None:
        """The key of the last of so many rows of the served build; see the port."""
        return self._inner.place(view, key, after, rows)

    def adopted(self, view: str) -> AdoptedRows | None:
        """The adopted table behind a view; None where readers get a build."""
        adoption = self._store.adoptions.get(view)
        return None if adoption is None else AdoptedRows(self._tables(), adoption.table)

    def _tables(self) -> TableSnapshot:
        if self._opened is None:
            tables = self._stack.enter_context(self._store.tables())
            self._opened = self._stack.enter_context(tables.snapshot())
        return self._opened


class _Reader:
    """See `port.PointReader`. Each read of an adopted table is a transaction of its own."""

    def __init__(self, store: AdoptingStore, inner: PointReader, stack: ExitStack) -> None:
        self._store = store
        self._inner = inner
        self._stack = stack
        self._opened: Tables | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._process = os.getpid()

    def close(self) -> None:
        """Answer no more: what is asked later would connect to the database again, and nobody would let go of it."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._closed = True

    def get(
        self, view: str, key: Sequence[str], *, at_least: int | None = None, timeout: float = TIMEOUT
    ) -> dict[str, Any] | None:  # fmt: skip
        """
        The row of a key; see the port.

        Raises:
            NotBuilt, BadKey, ReaderClosed, ReaderForked, AdoptedTableMissing, NotFresh, PositionUnknown: no row can be
                given.
        """
        adoption = self._store.adoptions.get(view)
        if adoption is None:
            return self._inner.get(view, key, at_least=at_least, timeout=timeout)
        check_key(adoption.label, adoption.key, key)
        if at_least is not None:
            wait_for(lambda: self._position(adoption), adoption.label, at_least, timeout)
        with self._tables().snapshot() as snapshot:
            try:
                return snapshot.point(adoption.table, dict(zip(adoption.key, key, strict=True)))
            except NoTable as fault:
                raise AdoptedTableMissing(adoption, fault) from fault

    def _position(self, adoption: Adoption) -> Position | None:
        with self._tables().snapshot() as snapshot:
            return _position(snapshot, adoption)

    def _tables(self) -> Tables:
        if os.getpid() != self._process:
            # Before the lock: a thread that had it at the fork is not here to let go of it.
            raise ReaderForked(Side.V1.value, self._process)
        with self._lock:
            if self._closed:
                raise ReaderClosed(Side.V1.value)
            if self._opened is None:
                self._opened = self._stack.enter_context(self._store.tables())
            return self._opened


def _declared(snapshot: TableSnapshot, adoption: Adoption) -> dict[str, str]:
    try:
        return snapshot.declared(adoption.table)
    except NoTable as fault:
        raise AdoptedTableMissing(adoption, fault) from fault


def _checkpoint(snapshot: TableSnapshot, adoption: Adoption) -> Checkpoint:
    return Checkpoint(
        view=adoption.view,
        build=ADOPTED,
        position=_position(snapshot, adoption),
        epoch=0,
        definition_hash=adoption.hash_of(_declared(snapshot, adoption)),
        text=adoption.text,
    )


def _position(snapshot: TableSnapshot, adoption: Adoption) -> Position | None:
    """How far the table is, as its own query says; None without a query, and where the query gives NULL or no row."""
    # A value of a source's cursor is no position of the log.
    found = None if adoption.fed_by else reached(snapshot, adoption)
    if found is None:
        return None
    # What sum() and max() give in some databases is a decimal.
    if isinstance(found, int | float | Decimal) and not isinstance(found, bool) and found >= 0 and found % 1 == 0:
        return Position(int(found))
    raise BadPosition(adoption, f"gave {found!r}, which is no position: one is a whole number, 0 or more")


def reached(snapshot: TableSnapshot, adoption: Adoption) -> object:
    """
    What the query of an adopted table gives; None without a query, and where it gives NULL or no row.

    Raises:
        BadPosition: it cannot be answered, or gives several rows.
    """
    if not adoption.position_query:
        return None
    try:
        rows = snapshot.scalars(adoption.position_query, 2)
    except TablesRefused as fault:
        raise BadPosition(adoption, f"cannot be answered: {fault.reason}") from fault
    if len(rows) > 1:
        raise BadPosition(adoption, "gave more than one row, and which of them came first says nothing")
    return rows[0] if rows else None
