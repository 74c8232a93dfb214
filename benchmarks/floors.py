"""
The floors that dualgauge's figures are ratios of: the least work any tool must do, written by hand.

Run alone, it prints what each floor costs on this machine. A benchmark imports the functions and runs them
interleaved with the code it measures, in one process, and compares medians.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EVENTS = 2_000_000
KEYS = 200_000

VIEW = """SELECT k, sum(amt) AS total, count(*) AS n, min(ts) AS first_at, max(ts) AS last_at,
                 arg_max(amt, position) AS last_amt, max(position) AS _position FROM events GROUP BY k"""

TABLE = """CREATE TABLE v (k INTEGER PRIMARY KEY, total NUMERIC, n INTEGER, first_at TEXT, last_at TEXT,
                           last_amt NUMERIC, _position INTEGER)"""

INSERT = "INSERT INTO v VALUES (?, ?, ?, ?, ?, ?, ?)"

UPSERT = f"""{INSERT} ON CONFLICT (k) DO UPDATE SET total = excluded.total, n = excluded.n,
             first_at = excluded.first_at, last_at = excluded.last_at, last_amt = excluded.last_amt,
             _position = excluded._position"""

Result = TypeVar("Result")


def connect() -> duckdb.DuckDBPyConnection:
    """Open a connection with two settings: no progress bar, UTC."""
    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    con.execute("SET TimeZone = 'UTC'")
    return con


def events(con: duckdb.DuckDBPyConnection, first: int, count: int, keys: int) -> duckdb.DuckDBPyRelation:
    """Give `count` events from position `first`; keys are spread evenly and at random."""
    return con.sql(
        f"""SELECT i AS position, 'e-' || i AS event_id, (hash(i) % {keys:d})::BIGINT AS k,
        ((i * 7919) % 100000)::DECIMAL(18, 2) / 100 AS amt, TIMESTAMPTZ '2020-01-01' + INTERVAL (i) SECOND AS ts
        FROM range({first:d}, {first + count:d}) t(i)"""
    )


def bulk_write(con: duckdb.DuckDBPyConnection, folder: str, count: int, keys: int) -> None:
    """Floor of an import: the rows to a new Delta table in one commit."""
    write_deltalake(
        folder,
        events(con, 1, count, keys).to_arrow_reader(500_000),
        mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction("log", count)]),
    )


def small_commit(con: duckdb.DuckDBPyConnection, table: DeltaTable, first: int, count: int, keys: int) -> None:
    """Floor of an append: one commit of `count` rows through an open table."""
    write_deltalake(
        table,
        events(con, first, count, keys).to_arrow_table(),
        mode="append",
        commit_properties=CommitProperties(app_transactions=[Transaction("log", first + count)]),
    )


def query(con: duckdb.DuckDBPyConnection, files: Sequence[str]) -> pa.Table:
    """Floor of a replay's computing: the view over the log's files, result as an Arrow table."""
    return con.sql(VIEW.replace("FROM events", f"FROM read_parquet({list(files)!r})")).to_arrow_table()


def new_store(path: Path) -> sqlite3.Connection:
    """Open a new SQLite file with the view's table and a checkpoint."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(TABLE)
    db.execute("CREATE TABLE checkpoint (position INTEGER)")
    return db


def rows(con: duckdb.DuckDBPyConnection, table: pa.Table, order: str = "") -> list[tuple[Any, ...]]:
    """Turn an answer into the values that SQLite is given."""
    con.register("out", table)
    got = con.execute(
        f"""SELECT k, total::VARCHAR, n, first_at::VARCHAR, last_at::VARCHAR, last_amt::VARCHAR, _position
        FROM out {order}"""
    ).fetchall()
    con.unregister("out")
    return got


def load(con: duckdb.DuckDBPyConnection, db: sqlite3.Connection, table: pa.Table) -> None:
    """Floor of a replay's loading: all rows by executemany, one commit."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany(INSERT, rows(con, table))
    db.execute("COMMIT")


def load_in_order(con: duckdb.DuckDBPyConnection, db: sqlite3.Connection, table: pa.Table) -> None:
    """Load as `load` does, by key: SQLite then appends to its tree, which is less than half the work."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany(INSERT, rows(con, table, "ORDER BY k"))
    db.execute("COMMIT")


def batch(con: duckdb.DuckDBPyConnection, db: sqlite3.Connection, first: int, count: int, keys: int) -> None:
    """Floor of one tail batch: the partial aggregate, and a bare upsert of its rows with the checkpoint, one commit."""
    con.register("new_events", events(con, first, count, keys).to_arrow_table())
    partial = con.sql(VIEW.replace("FROM events", "FROM new_events")).to_arrow_table()
    con.unregister("new_events")
    db.execute("BEGIN IMMEDIATE")
    db.executemany(UPSERT, rows(con, partial))
    db.execute("DELETE FROM checkpoint")
    db.execute("INSERT INTO checkpoint VALUES (?)", (first + count,))
    db.execute("COMMIT")


def decide(unit: str, threshold: int, salt: bytes = b"orders_view:v2\0") -> bool:
    """Floor of a routing decision: hash, first eight bytes, compare."""
    return int.from_bytes(hashlib.sha256(salt + unit.encode()).digest()[:8], "big") < threshold


def timed(function: Callable[..., Result], *given: Any) -> tuple[float, Result]:  # noqa: ANN401  (whatever it takes)
    """Call a function; give the seconds it took, and its result."""
    start = time.perf_counter()
    got = function(*given)
    return time.perf_counter() - start, got


def measure(base: Path, count: int, keys: int, repeats: int) -> dict[str, float]:
    """Run every floor in a folder; seconds, milliseconds or nanoseconds, as each name says."""
    con = connect()
    db, ordered = new_store(base / "store.db"), new_store(base / "ordered.db")
    try:
        log = str(base / "log")
        out = {"bulk_write_s": timed(bulk_write, con, log, count, keys)[0]}
        files = DeltaTable(log).file_uris()
        runs = [timed(query, con, files) for _ in range(3)]
        out["query_s"] = statistics.median(seconds for seconds, _ in runs)
        out["load_s"] = timed(load, con, db, runs[0][1])[0]
        out["load_in_order_s"] = timed(load_in_order, con, ordered, runs[0][1])[0]
        table = DeltaTable(log)
        commits = [timed(small_commit, con, table, count + 1 + i * 1000, 1000, keys)[0] for i in range(repeats)]
        out["small_commit_ms"] = 1000 * statistics.median(commits)
        for size in (1_000, 10_000):
            batches = [timed(batch, con, db, 10 * count + i * size, size, keys)[0] for i in range(repeats)]
            out[f"batch_{size}_ms"] = 1000 * statistics.median(batches)
        units = [f"user-{i:08}" for i in range(200_000)]
        out["decide_ns"] = 1e9 * timed(lambda: [decide(unit, 1 << 60) for unit in units])[0] / len(units)
    finally:
        ordered.close()
        db.close()
        con.close()
    return out


READ = """
import sys
import pyarrow as pa
from adbc_driver_sqlite import dbapi
file, table, to = sys.argv[1:]
with dbapi.connect(f"file:{file}?mode=ro") as connection, connection.cursor() as cursor:
    cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "50000"})
    cursor.execute(f"SELECT * FROM {table}")
    rows = cursor.fetch_record_batch()
    with pa.OSFile(to, "wb") as out, pa.ipc.new_file(out, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
"""


def read_and_join(
    con: duckdb.DuckDBPyConnection, tables: Sequence[tuple[Path, str]], folder: Path, join: str
) -> list[tuple[int]]:
    """Two tables of SQLite files by Arrow's driver, in a process each and at once, and a query that joins them."""
    files = [folder / "floor-v1.arrow", folder / "floor-v2.arrow"]
    children = [
        subprocess.Popen([sys.executable, "-c", READ, str(file), table, str(to)])  # noqa: S603  (our own script)
        for (file, table), to in zip(tables, files, strict=True)
    ]
    if any(one.wait() for one in children):
        message = "a table could not be read"
        raise RuntimeError(message)
    for name, file in zip(("v1", "v2"), files, strict=True):
        con.register(name, pa.ipc.open_file(pa.memory_map(str(file))).read_all())
    return con.execute(join).fetchall()


def main() -> None:
    """Print a table and one JSON line."""
    parser = argparse.ArgumentParser(description="What the least work costs on this machine.")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--repeats", type=int, default=9, help="of the small ones")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="floors-") as base:
        out = measure(Path(base), given.events, given.keys, given.repeats)
    for name, value in out.items():
        print(f"{name:18} {value:12,.3f}")
    print(json.dumps({"events": given.events, "keys": given.keys} | out))


if __name__ == "__main__":
    main()
