"""
What importing, replaying, comparing and deciding cost, as ratios to the least work any tool must do.

The floors are written by hand in floors.py. Each round runs the floor and dualgauge on the same made-up events, in
folders of their own and in turn (which goes first changes with every round); a figure is the median of the rounds.
Nothing is warmed up: the first round pays for loading libraries. What is measured:

import          a Parquet file of events into a new log by `Migration.import_`; floor: the same events, made by a query,
                into a new Delta table by one write. The file is written beforehand, outside the measured time.
replay          one view of the log into the serving store by `Migration.replay`, the first revision of its shape
                included; floor: the view's query over the log's files and one `executemany`.
replay by key   the same, and a floor that gives SQLite its rows in the order of the key. SQLite likes that so much
                better that it is the harder floor; dualgauge loads in this order too.
transaction     the longest transaction of all these replays that wrote rows, begin and commit included.
diff            two views of `--rows` rows, equal but for one, by `Migration.diff`; floor: Arrow's driver reads both
                tables at once, in a process each, and DuckDB joins them.
peak memory     a process of its own that imports the whole history of the reference project (the flights of a year
                and their weather) and replays all its views; the most memory it ever held, libraries included.

Prints a table and, as the last line, one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import floors
from _figures import Figure, middle, publish, releases
from _project import new_project
from deltalake import DeltaTable

import dualgauge
from dualgauge.model import Outcome
from dualgauge.scaffold.demo import lay_out
from dualgauge.stores.sqlite.bulk import SqliteLoading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualgauge.stores.serving.port import Row

SETTINGS = """[tool.dualgauge]
migration = "benchmark"
[tool.dualgauge.log.columns]
k = "BIGINT"
amt = "DOUBLE"
[[tool.dualgauge.sources]]
name = "payments"
path = "{events}"
event_id = "event_id"
type = "'paid'"
occurred_at = "ts"
"""

VIEW = """-- key: k
SELECT k, sum(amt) AS total, count(*) AS n, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
  arg_max(amt, position) AS last_amt
FROM events GROUP BY k
"""

# One event a key. v2 answers another amount for one key, so that the diff has something to find.
ROWS = """-- key: k
SELECT k, {amount} AS amount, occurred_at AS paid_at, event_id, position AS at FROM events
"""
ODD = "CASE WHEN k = 7 THEN amt + 1 ELSE amt END"

JOIN = """SELECT count(*) FROM v1 a FULL JOIN v2 b ON a.k = b.k
WHERE a.k IS NULL OR b.k IS NULL OR a.amount IS DISTINCT FROM b.amount OR a.paid_at IS DISTINCT FROM b.paid_at
   OR a.event_id IS DISTINCT FROM b.event_id OR a.at IS DISTINCT FROM b.at"""

LIBRARIES = ("duckdb", "deltalake", "pyarrow", "sqlalchemy", "alembic")


def write_events(file: Path, count: int, keys: int) -> None:
    """Write the floors' events, from position 1, to a Parquet file."""
    con = floors.connect()
    try:
        floors.events(con, 1, count, keys).project("event_id, k, amt, ts").to_parquet(str(file))
    finally:
        con.close()


@contextmanager
def timed_transactions() -> Iterator[list[float]]:
    """Time, in seconds, every transaction of a replay that writes rows."""
    taken: list[float] = []
    append = SqliteLoading.append

    def timed_append(loading: SqliteLoading, rows: Sequence[Row]) -> None:
        start = time.perf_counter()
        append(loading, rows)
        taken.append(time.perf_counter() - start)

    SqliteLoading.append = timed_append  # type: ignore[method-assign,assignment]
    try:
        yield taken
    finally:
        SqliteLoading.append = append  # type: ignore[method-assign]


def floor_round(base: Path, count: int, keys: int) -> dict[str, float]:
    """One import and one replay by hand; seconds."""
    con = floors.connect()
    db, ordered = floors.new_store(base / "store.db"), floors.new_store(base / "ordered.db")
    try:
        log = str(base / "log")
        written, _ = floors.timed(floors.bulk_write, con, log, count, keys)
        files = DeltaTable(log).file_uris()
        queried, answer = floors.timed(floors.query, con, files)
        loaded, _ = floors.timed(floors.load, con, db, answer)
        queried_again, answer = floors.timed(floors.query, con, files)
        loaded_in_order, _ = floors.timed(floors.load_in_order, con, ordered, answer)
        expect(db, "v", count)
        expect(ordered, "v", count)
    finally:
        ordered.close()
        db.close()
        con.close()
    return {"import": written, "replay": queried + loaded, "replay by key": queried_again + loaded_in_order}


def expect(db: sqlite3.Connection, name: str, count: int) -> None:
    """Assert that a table or view holds the answer: every event counted, every latest amount there."""
    one = "count(*) FILTER (WHERE last_amt IS NOT NULL AND first_at <= last_at)"
    counted, keys, seen = db.execute(f"SELECT sum(n), count(DISTINCT k), {one} FROM {name}").fetchone()
    assert (counted, seen) == (count, keys)


def our_round(root: Path, events: Path, count: int) -> dict[str, float]:
    """One import and one replay by dualgauge; seconds."""
    migration = new_project(root, SETTINGS.format(events=events), {"views_v2/payments.sql": VIEW})
    imported, done = floors.timed(migration.import_)
    assert (done.added, done.last) == (count, count)
    with timed_transactions() as taken:
        replayed, _ = floors.timed(migration.replay)
    db = sqlite3.connect(root / ".dualgauge" / "views_v2.db")
    try:
        expect(db, "payments", count)
    finally:
        db.close()
    return {"import": imported, "replay": replayed, "transaction": max(taken)}


def import_and_replay(base: Path, count: int, keys: int, rounds: int) -> list[Figure]:
    """Figures of import, replay and transaction, over interleaved rounds."""
    events = base / "events.parquet"
    write_events(events, count, keys)
    theirs: list[dict[str, float]] = []
    ours: list[dict[str, float]] = []
    for number in range(rounds):
        folder = base / f"round-{number}"
        (folder / "ours").mkdir(parents=True)
        (folder / "floor").mkdir()
        if number % 2:
            ours.append(our_round(folder / "ours", events, count))
            theirs.append(floor_round(folder / "floor", count, keys))
        else:
            theirs.append(floor_round(folder / "floor", count, keys))
            ours.append(our_round(folder / "ours", events, count))
        shutil.rmtree(folder)
    return [
        Figure("import", "s", middle(ours, "import"), middle(theirs, "import"), bar=3.0),
        Figure("replay", "s", middle(ours, "replay"), middle(theirs, "replay"), bar=1.6),
        Figure("replay by key", "s", middle(ours, "replay"), middle(theirs, "replay by key"), bar=1.6),
        Figure("transaction", "ms", 1000 * max(one["transaction"] for one in ours), bar=200.0),
    ]


def diff(base: Path, count: int, rounds: int) -> Figure:
    """Time the exact diff of two stored views of `count` rows, of which one differs."""
    folder = base / "diff"
    folder.mkdir()
    con = floors.connect()
    try:
        con.sql(
            f"""SELECT i AS k, 'e-' || i AS event_id, ((i * 7919) % 100000)::DOUBLE / 100 AS amt,
            TIMESTAMPTZ '2020-01-01' + INTERVAL (i) SECOND AS ts FROM range(1, {count + 1:d}) t(i)"""
        ).to_parquet(str(folder / "events.parquet"))
        views = {"views_v1/rows.sql": ROWS.format(amount="amt"), "views_v2/rows.sql": ROWS.format(amount=ODD)}
        migration = new_project(folder / "project", SETTINGS.format(events=folder / "events.parquet"), views)
        migration.import_()
        migration.replay()
        tables = [(folder / "project" / ".dualgauge" / f"views_{side}.db", "rows__b1") for side in ("v1", "v2")]
        ours, theirs = [], []
        for _ in range(rounds):
            seconds, (run,) = floors.timed(migration.diff)
            assert (run.comparison.compared, run.comparison.mismatched) == (count, 1)
            assert run.comparison.verdict is Outcome.FAIL
            ours.append(seconds)
            seconds, joined = floors.timed(lambda: floors.read_and_join(con, tables, folder, JOIN))
            assert joined == [(1,)]
            theirs.append(seconds)
    finally:
        con.close()
    shutil.rmtree(folder)
    return Figure("diff", "s", statistics.median(ours), statistics.median(theirs), bar=2.5)


def flights(folder: Path, until: datetime | None) -> None:
    """Import the flights and replay every view; print the most memory this process ever held, in bytes."""
    lay_out(folder)
    migration = dualgauge.open(folder)
    imported = migration.import_(every=True, until=until)
    rebuilt = migration.replay()
    assert imported.added == rebuilt.position > 0
    print(json.dumps({"events": imported.added, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """Give the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux that also remembers the process which started this one.
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory(base: Path, until: datetime | None) -> tuple[Figure, int]:
    """Give the peak memory of a flights migration in a process of its own, and how many events it took in."""
    command = [sys.executable, __file__, "--flights", str(base / "flights")]
    if until is not None:
        command += ["--flights-until", until.isoformat()]
    answered = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  (ourselves)
    said = json.loads(answered.stdout.splitlines()[-1])
    return Figure("peak memory", "MB", said["peak_bytes"] / 1e6, bar=1500.0), said["events"]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Figures of dualgauge as ratios to floors written by hand.")
    parser.add_argument("--events", type=int, default=floors.EVENTS)
    parser.add_argument("--keys", type=int, help="by default a tenth of the events")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each view of the diff")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON line to a file, too")
    parser.add_argument("--flights-until", type=datetime.fromisoformat, metavar="TIME", help="not the whole year")
    parser.add_argument("--flights", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.flights_until is not None and given.flights_until.tzinfo is None:
        given.flights_until = given.flights_until.replace(tzinfo=UTC)
    return given


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    given = arguments()
    if given.flights is not None:
        flights(given.flights, given.flights_until)
        return 0
    keys = given.keys or max(1, given.events // 10)
    with tempfile.TemporaryDirectory(prefix="dualgauge-bench-") as folder:
        base = Path(folder)
        peak, history = memory(base, given.flights_until)
        figures = [
            *import_and_replay(base, given.events, keys, given.rounds),
            diff(base, given.rows, given.rounds),
            peak,
        ]
    return publish(
        "replay",
        f"{given.events:,} events of {keys:,} keys, views of {given.rows:,} rows, {history:,} flight events\n"
        f"medians of {given.rounds} rounds; the longest transaction of all of them",
        figures,
        sizes={
            "events": given.events,
            "keys": keys,
            "rows": given.rows,
            "flight_events": history,
            "rounds": given.rounds,
        },
        versions={"sqlite": sqlite3.sqlite_version, **releases(LIBRARIES)},
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())
