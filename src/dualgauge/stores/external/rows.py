"""
The rows of a table or a query that are new, told by a column that grows: the cursor.

Rows are read from a value of the cursor on, that value included, for several rows may have it. Where the next time
begins is the state, which the caller keeps: `{"from": value, ...}`. SQLite has one writer at a time, so values come to
light in their order, and the next time begins at the highest one. In PostgreSQL they do not; see `table_running`.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dualgauge.model import fold
from dualgauge.stores.errors import AlikeColumns, NoCursorColumn, NullCursor, UnfitCursor, UnnamedColumn
from dualgauge.stores.external.running import Noted, running
from dualgauge.stores.external.tables import VALUE, WAIT_SECONDS, open_tables
from dualgauge.stores.external.types import TableColumn, arrow_of, arrow_type

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from dualgauge.stores.external.tables import Tables, TableSnapshot

SETTLE_SECONDS: Final = 1.0
"""How long to wait for the transactions that run as a PostgreSQL table is looked at: most end within it."""

_PAUSE: Final = 0.05
_BATCH: Final = 20_000

State = dict[str, Any]
Value = dict[str, str]
"""A value of the cursor as JSON: its type, and its text."""

_TYPES: Final[dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "integer": (int, str, int),
    "float": (float, repr, float),
    "text": (str, str, str),
    "bytes": (bytes, lambda value: value.hex(), bytes.fromhex),
    "decimal": (Decimal, str, Decimal),
    # A datetime is a date too, so it comes first.
    "timestamp": (dt.datetime, lambda value: value.isoformat(), dt.datetime.fromisoformat),
    "date": (dt.date, lambda value: value.isoformat(), dt.date.fromisoformat),
    "uuid": (uuid.UUID, str, uuid.UUID),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is read: a table by its name, or a query in the database's own SQL, and the column that grows."""

    cursor: str
    table: str = ""
    statement: str = ""
    place: str = ""
    """What to call a column more, BIGINT: a row's place in the database's own order of the cursor; empty for none."""

    @property
    def shown(self) -> str:
        """What it is called in a message."""
        return f"table {self.table}" if self.table else "the statement"


class NewRows:
    """The new rows of a table or a query, in one state of the database; read once, while it is open."""

    def __init__(self, snapshot: TableSnapshot, read: _Reading, state: State) -> None:
        self._snapshot = snapshot
        self._read = read
        self._opened: list[Generator[pa.RecordBatch]] = []
        self.columns = {one.name: one.kind for one in read.columns}
        """The columns with their DuckDB types, which stay the same whatever rows come in."""
        self.state = state
        """Where the next time begins, as JSON; {} where no row was ever there, and for a sample."""

    def reader(self, size: int = _BATCH) -> pa.RecordBatchReader:
        """
        The rows in Arrow batches of at most `size`, as the database gives them.

        Raises, while it is read:
            NullCursor: a row has no value in the cursor column.
            UnfitValue, UnreadableValue: a value is none of its column's type.
        """
        import pyarrow as pa

        schema = pa.schema([(name, arrow_type(kind)) for name, kind in self.columns.items()])
        self._opened.append(self._batches(size))
        return pa.RecordBatchReader.from_batches(schema, self._opened[-1])

    def close(self) -> None:
        """Let go of what was not read to its end, while the connection is there to say so."""
        for one in self._opened:
            one.close()

    def _batches(self, size: int) -> Generator[pa.RecordBatch]:
        read = self._read
        condition = f" WHERE {read.condition} OR {read.column} IS NULL" if read.values else ""
        for batch in self._snapshot.taken(read.columns, f"{read.source}{condition}", size, read.values):
            if batch.column(read.name).null_count:
                raise NullCursor(read.chosen.shown, read.name)
            yield batch


@contextmanager
def new_rows(
    url: str,
    chosen: Chosen,
    *,
    root: Path,
    state: Mapping[str, Any] | None = None,
    sample: bool = False,
    wait: float = WAIT_SECONDS,
    settle: float = SETTLE_SECONDS,
) -> Iterator[NewRows]:
    """
    Open a database for what is new in one of its tables, in one transaction that only reads.

    Args:
        url: the database, its environment variables filled in.
        chosen: the table or query, and its cursor.
        root: what a relative SQLite path is relative to.
        state: what the last time left; None reads from the beginning. Other keys than its own are left alone.
        sample: only look: no row counts as read.
        wait: seconds to wait for a connection, or for a locked SQLite file.
        settle: seconds to wait for transactions that run (PostgreSQL).

    Raises:
        NoTable, NoCursorColumn, UnfitCursor, TablesRefused: the settings do not fit the database.
        AlikeColumns, UnnamedColumn: the engine would take two of its columns for one, or one has no name.
        and what `open_tables` raises.
    """
    with open_tables(url, root=root, wait=wait) as tables:
        after = {} if sample else noted_before(tables, chosen, state, settle)
        with tables.snapshot() as snapshot, rows_in(snapshot, chosen, state, after, sample=sample) as found:
            yield found


def noted_before(tables: Tables, chosen: Chosen, state: Mapping[str, Any] | None, settle: float) -> State:
    """
    What of the next state must be known before the snapshot is taken from which rows are read; see `rows_in`.

    Args:
        tables: the database.
        chosen: the table or query, and its cursor.
        state: what the last time left.
        settle: seconds to wait for transactions that run (PostgreSQL).
    """
    return _noted(tables, chosen, state or {}, settle) if tables.kind == "postgresql" else {}


@contextmanager
def rows_in(
    snapshot: TableSnapshot,
    chosen: Chosen,
    state: Mapping[str, Any] | None,
    noted: Mapping[str, Any],
    *,
    sample: bool = False,
) -> Iterator[NewRows]:
    """What is new in a snapshot that is open; `noted` is what `noted_before` gave. Raises as `new_rows`."""
    begin, after = (state or {}).get("from"), dict(noted)
    read = _reading(snapshot, chosen, begin, sample=sample)
    if snapshot.kind != "postgresql" and not sample and (highest := _highest(snapshot, read) or begin):
        after = {"from": highest}
    with closing(NewRows(snapshot, read, after)) as found:
        yield found


@contextmanager
def rows_above(snapshot: TableSnapshot, chosen: Chosen, value: object) -> Iterator[NewRows]:
    """
    The rows of a snapshot whose cursor is above a value that a query of the same database gave.

    Raises:
        ValueError: it is no value of the cursor, with the reason.
        and what `new_rows` raises.
    """
    read = _reading(snapshot, chosen, None)
    begin = _kept(read, value)
    highest = None if read.cast else _highest(snapshot, read)
    if begin is None or (highest and highest["type"] != begin["type"]):
        kinds = f"values of the type {highest['type']}" if highest else "no such values"
        message = f"gave {value!r}, and the cursor column {read.name!r} holds {kinds}"
        raise ValueError(message)
    with closing(NewRows(snapshot, _reading(snapshot, chosen, begin, above=True), {})) as found:
        yield found


@dataclass(frozen=True, slots=True)
class _Reading:
    """
    What is read: what stands after FROM, its columns, and the condition over the cursor with its value, if any.

    `cast` is the type to which a text is cast to be compared; None where the driver takes Python's values.
    """

    chosen: Chosen
    source: str
    columns: list[TableColumn]
    name: str
    column: str
    cast: str | None
    condition: str
    values: tuple[object, ...]


def _reading(
    snapshot: TableSnapshot, chosen: Chosen, begin: Value | None, *, sample: bool = False, above: bool = False
) -> _Reading:
    source, columns = snapshot.relation(chosen.table, chosen.statement)
    names = [one.name for one in columns]
    alike = [name for name in names if name.casefold() == chosen.cursor.casefold()]
    if chosen.cursor not in names and len(alike) != 1:
        raise NoCursorColumn(chosen.shown, chosen.cursor, names)
    name = chosen.cursor if chosen.cursor in names else alike[0]
    column, cast = snapshot.cursor(source, name)
    values: tuple[object, ...] = ()
    if begin is not None:
        values = (begin["value"] if cast else _TYPES[begin["type"]][2](begin["value"]),)
    condition = f"{column} {'>' if above else '>='} {f'CAST({VALUE} AS {cast})' if cast else VALUE}"
    if chosen.place:
        # The database itself says which value is the greater one: the engine has another collation, and a number
        # without a scale is a text there. Of a sample the order says nothing, and may cost a sort of the table.
        rank = "0" if sample else f"rank() OVER (ORDER BY {column})"
        columns = [*columns, TableColumn(chosen.place, "BIGINT", rank, arrow_of("BIGINT"))]
    _refuse_alike(chosen, [one.name for one in columns])
    return _Reading(chosen, source, columns, name, column, cast, condition, values)


def _refuse_alike(chosen: Chosen, names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for at, name in enumerate(names, 1):
        if not name:
            raise UnnamedColumn(chosen.shown, at)
        if (other := seen.get(fold(name))) is not None:
            raise AlikeColumns(chosen.shown, other, name, kept=bool(chosen.place) and at == len(names))
        seen[fold(name)] = name


def _highest(snapshot: TableSnapshot, read: _Reading) -> Value | None:
    """The highest value of the cursor from the beginning on; None where there is no row."""
    conditions = [read.condition] if read.values else []
    if read.cast:
        # Not max(), which several types lack.
        conditions.append(f"{read.column} IS NOT NULL")
        chosen, order = f"CAST({read.column} AS text)", f" ORDER BY {read.column} DESC LIMIT 1"
    else:
        chosen, order = f"max({read.column})", ""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    found = snapshot.scalar(f"SELECT {chosen} FROM {read.source}{where}{order}", read.values)
    if found is None:
        return None
    if (kept := _kept(read, found)) is None:
        raise UnfitCursor(read.chosen.shown, read.name, type(found).__name__)
    return kept


def _kept(read: _Reading, value: object) -> Value | None:
    """A value of the cursor as it is kept; None where it is none that can be."""
    if read.cast:
        return {"type": read.cast, "value": str(value)}
    found = ((kind, told) for kind, (of, told, _) in _TYPES.items() if isinstance(value, of))
    return next(({"type": kind, "value": told(value)} for kind, told in found), None)


def _noted(tables: Tables, chosen: Chosen, state: Mapping[str, Any], settle: float) -> State:
    """
    The state that reading leaves, if it begins after this, at the `from` of before.

    Not at a later one: rows of those who ended since may lie between.
    """
    begin, noted = state.get("from"), Noted.from_state(state)
    if noted is not None:
        noted = noted.left(running(tables))
        if noted.ended:
            begin, noted = noted.seen, None
    if noted is None:
        with tables.snapshot() as snapshot:
            highest = _highest(snapshot, _reading(snapshot, chosen, begin))
        if highest is not None:
            # After the value was seen, and before rows are read: whoever has a lower one, and is not visible to the
            # reader, runs now.
            noted = Noted.of(highest, running(tables))
            until = time.monotonic() + settle
            while not noted.ended and time.monotonic() < until:
                time.sleep(_PAUSE)
                noted = noted.left(running(tables))
            if noted.ended:
                begin, noted = noted.seen, None
    return {**({"from": begin} if begin else {}), **(noted.to_state() if noted else {})}
