"""
What keeping a view current costs, as ratios to the least work any tool must do for the same batch.

A view of one group a key (a count, a sum and a mean of a DECIMAL, the last time) stands at the head of a log; batches
of events are appended, and each is brought into the build by `Tail.catch_up`, the reading of the log included. In turn
with each, on the same events, the floors by hand: the batch's groups in the order of the key, what is stored of them,
both merged in the engine, and one upsert; and, by itself, that upsert, of rows that are known. Medians of all batches
but the first, which pays for loading libraries.

batch           a batch of `--batch` events over `--keys` keys; floor: the same by hand.
upsert          the same; floor: the bare upsert.
batch of more   a batch over `--more` keys; floor: the same by hand.
upsert of more  the same; floor: the bare upsert.
history         a batch behind the whole history; floor: one behind a tenth of it.

Prints a table and, as the last line, one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import floors
from _figures import Figure, publish, releases

import dualgauge
from dualgauge.model import Position, Side
from dualgauge.replay.tail import Tail
from dualgauge.scaffold.demo import content

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

SETTINGS = """[tool.dualgauge]
migration = "benchmark"
[tool.dualgauge.log.columns]
k = "BIGINT"
amt = "DECIMAL(18,2)"
[[tool.dualgauge.sources]]
name = "payments"
path = "events*.parquet"
event_id = "event_id"
type = "'paid'"
occurred_at = "ts"
"""

VIEW = """-- key: k
SELECT k, count(*) AS n, sum(amt) AS total, avg(amt) AS mean, max(occurred_at) AS last_at
FROM events WHERE k IS NOT NULL GROUP BY k
"""

GROUPS = "SELECT k, count(*) AS n, sum(amt) AS total, max(ts) AS last_at, max(position) AS seen FROM ({}) GROUP BY k"
STORED = "n, total, mean, last_at, s_n, s_total, s_last, seen"
UPSERT = f"""INSERT INTO kept (k, {STORED}) VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (k) DO UPDATE SET
n = excluded.n, total = excluded.total, mean = excluded.mean, last_at = excluded.last_at,
s_n = excluded.s_n, s_total = excluded.s_total, s_last = excluded.s_last, seen = excluded.seen"""
SHOWN = """SELECT k, n, CAST(total AS VARCHAR), total::DOUBLE / n, strftime(last_at, '%Y-%m-%d %H:%M:%S.%f'),
CAST(n AS VARCHAR), CAST(total AS VARCHAR), CAST(last_at AS VARCHAR), seen FROM ({}) ORDER BY k"""

LIBRARIES = ("duckdb", "deltalake", "pyarrow", "sqlalchemy")


def made(first: int, count: int, keys: int) -> str:
    """Events as a query: positions from `first`."""
    return (
        f"SELECT i AS position, 'e' || i AS event_id, (hash(i) % {keys:d})::BIGINT AS k, "
        "((hash(i, 1) % 100000)::BIGINT / 100)::DECIMAL(18,2) AS amt, TIMESTAMPTZ '2026-01-01' + to_seconds(i) AS ts "
        f"FROM range({first:d}, {first + count:d}) AS r(i)"
    )


class ByHand:
    """The same view kept by hand: one table of SQLite, what is merged beside the row, as text."""

    def __init__(self, con: duckdb.DuckDBPyConnection, file: Path) -> None:
        self._con = con
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = wal")
        self._db.execute("PRAGMA synchronous = normal")
        kinds = "k INTEGER PRIMARY KEY, n INTEGER, total NUMERIC, mean REAL, last_at TEXT, s_n TEXT, s_total TEXT"
        self._db.execute(f"CREATE TABLE kept ({kinds}, s_last TEXT, seen INTEGER)")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def load(self, events: str) -> None:
        """All groups of a history."""
        self._write(self._con.execute(SHOWN.format(GROUPS.format(events))).fetchall())

    def batch(self, events: str) -> float:
        """Merge a batch; seconds."""
        start = time.perf_counter()
        con, db = self._con, self._db
        con.execute(f"CREATE OR REPLACE TEMP TABLE b AS SELECT * FROM ({GROUPS.format(events)}) ORDER BY k")
        keys = con.execute("SELECT k FROM b ORDER BY k").fetchall()
        db.execute("CREATE TEMP TABLE IF NOT EXISTS keys (k INTEGER PRIMARY KEY)")
        db.execute("DELETE FROM temp.keys")
        db.executemany("INSERT INTO temp.keys VALUES (?)", keys)
        asked = "SELECT o.k, o.s_n, o.s_total, o.s_last FROM temp.keys AS a CROSS JOIN kept AS o ON o.k = a.k"
        stored = db.execute(asked).fetchall() or [(None,) * 4]
        import pyarrow as pa

        kinds = (pa.int64(), pa.string(), pa.string(), pa.string())
        arrays = [pa.array(column, kind) for column, kind in zip(zip(*stored, strict=True), kinds, strict=True)]
        con.register("o", pa.table(arrays, names=["k", "s_n", "s_total", "s_last"]))
        both = (
            "SELECT b.k, b.n + coalesce(o.s_n::BIGINT, 0) AS n, "
            "b.total + coalesce(o.s_total::DECIMAL(38,2), 0) AS total, "
            "greatest(b.last_at, o.s_last::TIMESTAMPTZ) AS last_at, b.seen FROM b LEFT JOIN o USING (k)"
        )
        self._write(con.execute(SHOWN.format(both)).fetchall())
        con.unregister("o")
        return time.perf_counter() - start

    def upsert(self, events: str) -> float:
        """The bare upsert of rows that are known; seconds."""
        rows = self._con.execute(SHOWN.format(GROUPS.format(events))).fetchall()
        return floors.timed(self._write, rows)[0]

    def _write(self, rows: list[tuple[object, ...]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(UPSERT, rows)
        self._db.execute("COMMIT")


def lay_out(root: Path) -> None:
    """A project with one view, and no events yet."""
    root.mkdir()
    shutil.copytree(
        content() / "migrations", root / "migrations", ignore=shutil.ignore_patterns("versions", "__pycache__")
    )
    (root / "migrations" / "versions").mkdir()
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    for side in ("views_v1", "views_v2"):
        (root / side).mkdir()
    (root / "views_v1" / "totals.sql").write_text(VIEW, encoding="utf-8")


def measured(base: Path, *, events: int, keys: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each batch: of a tail, by hand, and of the bare upsert."""
    found: dict[str, list[float]] = {"tail": [], "hand": [], "upsert": []}
    lay_out(root := base / f"project-{events}-{keys}")
    con = floors.connect()
    with closing(con), closing(ByHand(con, base / f"hand-{events}-{keys}.db")) as hand:
        write(con, root, 1, events, keys)
        migration = dualgauge.open(root)
        migration.import_(every=True)
        migration.replay()
        hand.load(made(1, events, keys))
        with migration._workspace.open() as handles:  # noqa: SLF001  (a batch is measured, not the opening of a project)
            now = dt.datetime.now(dt.UTC)
            leases = {Side.V1: handles.builds.take(Side.V1, "benchmark", now, now + dt.timedelta(hours=1))}
            plans = {one.view.name: one for one in handles.plans}
            with Tail(handles.engine, handles.log, handles.builds, leases, lambda _, one: plans[one.view]) as tail:
                for number in range(rounds + 1):
                    first = events + 1 + number * batch
                    write(con, root, first, batch, keys)
                    migration.import_(every=True)
                    handles.log.refresh()
                    tail.size = batch
                    todo: list[tuple[str, Callable[[], float]]] = [
                        ("tail", lambda at=first + batch - 1: floors.timed(tail.catch_up, Position(at))[0]),  # type: ignore[misc]
                        ("hand", lambda at=first: hand.batch(made(at, batch, keys))),  # type: ignore[misc]
                        ("upsert", lambda at=first: hand.upsert(made(at, batch, keys))),  # type: ignore[misc]
                    ]
                    for name, measure in todo if number % 2 else reversed(todo):
                        found[name].append(measure())
    return {name: seconds[1:] for name, seconds in found.items()}


def write(con: duckdb.DuckDBPyConnection, root: Path, first: int, count: int, keys: int) -> None:
    """Write events into a file of the project's source."""
    con.sql(made(first, count, keys)).project("event_id, k, amt, ts").to_parquet(
        str(root / f"events-{first:012d}.parquet")
    )


def main() -> int:
    """Measure, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--more", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        sizes = {"batch": asked.batch, "rounds": asked.rounds}
        one = measured(base, events=asked.events, keys=asked.keys, **sizes)
        more = measured(base, events=asked.events, keys=asked.more, **sizes)
        tenth = measured(base, events=asked.events // 10, keys=asked.keys, **sizes)
    middle = {
        (name, what): 1000 * statistics.median(found[what])
        for name, found in (("one", one), ("more", more), ("tenth", tenth))
        for what in found
    }
    figures = [
        Figure("batch", "ms", middle["one", "tail"], middle["one", "hand"], 1.3),
        Figure("upsert", "ms", middle["one", "tail"], middle["one", "upsert"], 2.2),
        Figure("batch of more", "ms", middle["more", "tail"], middle["more", "hand"], 1.3),
        Figure("upsert of more", "ms", middle["more", "tail"], middle["more", "upsert"], 2.2),
        Figure("history", "ms", middle["one", "tail"], middle["tenth", "tail"], 1.3),
    ]
    title = f"A batch of {asked.batch:,} events into a view of {asked.keys:,} and {asked.more:,} keys"
    return publish(
        "dual_run", title, figures,
        sizes={name: getattr(asked, name) for name in ("events", "keys", "more", "batch", "rounds")},
        versions=releases(LIBRARIES), to=asked.json,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
