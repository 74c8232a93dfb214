"""
Writes the rows of a SQLite file into a Parquet file: a program of its own, which `export` runs.

Arrow's driver reads a million rows in a third of the time that Python's sqlite3 takes. It has a SQLite of its own,
though, and where two of them have a file open in one process, the first to close it lets go of the other's locks. So
it stands in a process where there is no other. It imports nothing of dualgauge, and so is there in a third of a second.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from adbc_driver_sqlite import dbapi


def main() -> int:
    """
    Do what stands as JSON in the input.

    Each line of the output that begins with `rows` says how many are written, one is `gone` where there are none such
    any more, and the last one is `done`: a file that is cut off has an end like a whole one.
    """
    asked = json.load(sys.stdin)
    # Libraries are where the asking process has them.
    sys.path += [one for one in asked["path"] if one not in sys.path]
    import pyarrow as pa
    import pyarrow.parquet as pq
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(asked["file"]) as connection, connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 30000")
        # The first statement begins the transaction in which the rows are read too.
        cursor.execute(asked["check"])
        if cursor.fetchall() != [tuple(asked["expected"])]:
            print("gone", flush=True)  # noqa: T201  (another process reads it)
            return 1
        written = 0
        types = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "binary": pa.binary()}
        schema = pa.schema([(name, types[kind]) for name, kind in asked["columns"].items()])
        with pq.ParquetWriter(asked["to"], schema, compression="snappy") as writer:
            for batch in _batches(cursor, asked, schema):
                writer.write_batch(batch)
                written += batch.num_rows
                print("rows", written, flush=True)  # noqa: T201
    print("done", flush=True)  # noqa: T201
    return 0


def _batches(cursor: dbapi.Cursor, asked: Mapping[str, Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    # The driver takes a column's type from its first values, which may be NULL: one row of known values goes before.
    first = ", ".join(_FIRST[kind] for kind in asked["columns"].values())
    cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(asked["size"])})
    cursor.execute(f"SELECT {first} UNION ALL {asked['rows']}")
    for at, batch in enumerate(cursor.fetch_record_batch()):
        if batch.schema.types != schema.types:
            message = f"columns of {listed(batch.schema.types)}, and not of {listed(schema.types)}"
            raise TypeError(message)
        yield batch.slice(0 if at else 1).rename_columns(schema.names)


def listed(types: list[pa.DataType]) -> str:
    """Types one behind another."""
    return ", ".join(map(str, types))


_FIRST = {"int64": "0", "float64": "0.0", "string": "''", "binary": "x''"}

if __name__ == "__main__":
    sys.exit(main())
