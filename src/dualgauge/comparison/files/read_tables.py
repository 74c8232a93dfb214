"""Tables of databases, and what Python holds, as relations of the engine; batch by batch, never whole."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dualgauge.comparison.engine.kinds import kind_of
from dualgauge.comparison.errors import NoSource, UnclearTable, UnreadableLocation
from dualgauge.comparison.files.copied_text import copied_text
from dualgauge.comparison.files.exact_columns import ExactColumns
from dualgauge.comparison.files.loose_types import plain_text, told_text
from dualgauge.comparison.files.names import place, twice
from dualgauge.comparison.files.number_text import plain_number
from dualgauge.comparison.files.read_files import told
from dualgauge.comparison.files.value_types import FileSide, Reading, typed_reading
from dualgauge.engines.data_frames import framed, table_of
from dualgauge.engines.duck import translated
from dualgauge.engines.endless import WHAT, endless
from dualgauge.engines.parquet_files import bent, parquet, whole_parquet
from dualgauge.model import Progress, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dualgauge.comparison.files.locations import Location
    from dualgauge.engines.duck import Engine

BATCH: Final = 50_000

_READ_AS_TEXT: Final = frozenset(
    ("HUGEINT", "UHUGEINT", "BIGNUM", "INTERVAL", "BIT", "TIME WITH TIME ZONE", "JSON", "UUID")
)
"""Types of DuckDB whose values leave it as texts, and are the same again when they are read."""


def read_table(source: Location, name: str, folder: Path, progress: Progress) -> tuple[FileSide, tuple[str, ...]]:
    """
    A database's table, in one transaction; gives its primary key too, or ().

    Raises:
        UnclearTable: no table is named, and there is not just one.
        and what `open_tables` raises.
    """
    import pyarrow as pa

    from dualgauge.stores.external.tables import open_tables
    from dualgauge.stores.external.types import arrow_type

    loose = isinstance(source.database, Path) or str(source.database).startswith("sqlite")
    copied = copied_text if str(source.database).startswith("postgresql") else lambda _column, _kind: None
    with open_tables(source.database) as tables, tables.snapshot() as snapshot:
        if not source.table and len(snapshot.names) != 1:
            raise UnclearTable(source.shown, snapshot.names)
        table = source.table or snapshot.names[0]
        kinds, mixed, numbers = snapshot.columns(table), snapshot.mixed(table), snapshot.numbers(table)
        # Named by place: a table of PostgreSQL may have a column x and a column X.
        own = {column: place(at) for at, column in enumerate(kinds)}
        # Behind the others, what the engine would not write as the database does.
        written = snapshot.written(table)
        texts = own | {column: place(at) for at, column in enumerate(written, len(kinds))}
        schema = pa.schema(
            [
                *((own[column], arrow_type(kind)) for column, kind in kinds.items()),
                *((texts[column], pa.string()) for column in written),
            ]
        )
        with _writing(folder / "table.parquet", schema, source.shown) as write:
            read = 0
            for batch in snapshot.batches(table, list(kinds), BATCH, written):
                write(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                read += batch.num_rows
                progress(f"{name}: reading", read, None)
        key = snapshot.key(table)
    columns = {own[column]: kind for column, kind in kinds.items()} | {texts[column]: "VARCHAR" for column in written}
    source_sql = f"({parquet([folder / 'table.parquet'], columns)})"
    readings = tuple(
        Reading(
            column,
            kind,
            plain_number(own[column]) if column in numbers else f"CAST({own[column]} AS {kind})",
            # SQLite's types were found by looking: where one side has a value that is no number, both are texts.
            told=told_text(own[column], kind, texts[column], mixed=column in mixed) if loose else None,
            mixed=column in mixed,
            of_numbers=column in numbers,
            text=plain_text(own[column], kind, texts[column], mixed=column in mixed)
            if loose
            else texts[column]
            if column in written or column in numbers
            else copied(own[column], kind),
        )
        for column, kind in kinds.items()
    )
    return FileSide(source_sql, readings), key


def read_memory(engine: Engine, given: object, name: str, folder: Path) -> FileSide:
    """
    What Python holds: a table is read in place, a stream goes to Parquet.

    Raises:
        NoSource: it is nothing of the kind.
        UnreadableLocation: a column has no type that Arrow knows, or two columns have one name.
    """
    import pyarrow as pa

    label = f"{name} ({type(given).__name__})"
    if type(given).__module__.partition(".")[0] == "pandas":
        given = _from_pandas(given, label)
    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    typed: dict[str, str] = {}
    is_relation = type(given).__name__ == "DuckDBPyRelation"
    if isinstance(given, pa.Table):
        _check_names(given.schema, label)
        exact = ExactColumns(given.schema, label)
        registered = f"dualgauge_{name}"
        names = given.schema.names
        table = pa.Table.from_batches([exact.batch(one) for one in given.to_batches()], exact.schema)
        engine.register(registered, table.rename_columns([place(at) for at in range(len(names))]))
        source = quote(registered)
    else:
        # A relation is another connection's: what fails in it, fails here.
        with told(label, "see that its query runs by itself, and that its connection is open"), translated():
            given, typed = _kept_types(given, label)
            reader = _stream(given, label)
            _check_names(reader.schema, label)
            exact = ExactColumns(reader.schema, label)
            names = reader.schema.names
            own = pa.schema([field.with_name(place(at)) for at, field in enumerate(exact.schema)])
            with _writing(folder / "stream.parquet", own, label) as write:
                for batch in reader:
                    write(pa.RecordBatch.from_arrays(exact.batch(batch).columns, schema=own))
        source = f"({whole_parquet(engine, [folder / 'stream.parquet'])})"
    kinds = engine.columns(f"SELECT * FROM {source}") if names else {}
    if not is_relation and (column := endless(engine, source, kinds)):
        name = names[list(kinds).index(column)]
        raise UnreadableLocation(label, f"its column {name!r} holds {WHAT}", "give NULL, or a text")
    readings = [
        typed_reading(name, typed[name], f"CAST({column} AS {typed[name]})")
        if name in typed
        else exact.reading(name, kind, column)
        for name, (column, kind) in zip(names, kinds.items(), strict=True)
    ]
    return FileSide(source, tuple(readings))


def _kept_types(given: Any, label: str) -> tuple[object, dict[str, str]]:  # noqa: ANN401  (duckdb is not imported here)
    """
    A DuckDB relation with texts for what Arrow would bend, and the types of its texts; else what was given.

    JSON and UUIDs come as texts by themselves, also those in a list, a struct or a map.
    """
    if type(given).__name__ != "DuckDBPyRelation":
        return given, {}
    kinds = dict(zip(given.columns, map(str, given.types), strict=True))
    texts = {name: kind for name, kind in kinds.items() if kind in ("JSON", "UUID") or bent(kind)}
    for name, kind in texts.items():
        if kind not in _READ_AS_TEXT:
            reason = f"its column {name!r} is {kind}, which comes out of DuckDB as something else"
            raise UnreadableLocation(label, reason, "cast the column to a plain type, for example to text")
    nested = {name: kind for name, kind in kinds.items() if name not in texts and kind_of(kind).holds("JSON", "UUID")}
    if not texts:
        return given, nested
    columns = [f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" if name in texts else quote(name) for name in kinds]
    return given.project(", ".join(columns)), texts | nested


def _from_pandas(frame: Any, label: str) -> pa.Table:  # noqa: ANN401  (pandas is not imported here)
    def refuse(column: str, reason: str) -> Exception:
        what, _, advice = reason.rpartition(": ")
        return UnreadableLocation(label, f"its column {column!r} {what}" if column else f"it {what}", advice)

    return table_of(framed(frame, refuse), refuse)


def _stream(given: object, label: str) -> pa.RecordBatchReader:
    import pyarrow as pa

    if isinstance(given, pa.RecordBatchReader):
        return given
    if callable(read := getattr(given, "to_arrow_reader", None)):
        # A relation of another DuckDB connection.
        return read(BATCH)
    if hasattr(given, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(given)
    raise NoSource(
        label, "it is no path, Arrow table or reader, pandas data frame or DuckDB relation, and gives no Arrow stream"
    )


def _check_names(schema: pa.Schema, label: str) -> None:
    if (name := twice(schema.names)) is not None:
        raise UnreadableLocation(label, f"it has two columns {name!r}", "give each column a name of its own")


@contextmanager
def _writing(file: Path, schema: pa.Schema, label: str) -> Iterator[Any]:
    """A function that appends a batch to a new Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetWriter(file, schema, compression="snappy") as writer:
            yield writer.write_batch
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as fault:
        raise UnreadableLocation(label, str(fault), "cast the column to a plain type, for example to text") from fault
