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
history         a batch behind the whole history; floor: one behind a twentieth of it.
replay          the view of `--more` keys of the whole history into a new build; floor: its query over the log's files
                and one load in the order of the key.
replay peak     a process of its own that replays it with 1 GB for the engine; the most memory it ever held.
lag             how long an event that was appended is not in the view yet, of 99 in a hundred, at `--rate` a second;
                floor: a loop by hand that looks at the log, merges what is new and upserts it, at the same rate.
idle            what a tail with nothing to do takes of the processor.

Prints a table and, as the last line, one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import _child
import floors
from _figures import Figure, publish, releases
from _project import new_project

import dualgauge
from dualgauge.model import Position
from dualgauge.replay.holding import Holding
from dualgauge.replay.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        self._db.execute(f"CREATE TABLE IF NOT EXISTS kept ({kinds}, s_last TEXT, seen INTEGER)")
        self._db.execute("CREATE TABLE IF NOT EXISTS noted (at INTEGER)")

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
        # Outside a transaction each key would be one.
        db.execute("BEGIN")
        db.execute("DELETE FROM temp.keys")
        db.executemany("INSERT INTO temp.keys VALUES (?)", keys)
        asked = "SELECT o.k, o.s_n, o.s_total, o.s_last FROM temp.keys AS a CROSS JOIN kept AS o ON o.k = a.k"
        stored = db.execute(asked).fetchall() or [(None,) * 4]
        db.execute("COMMIT")
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

    def noted(self) -> int:
        """The position that it is at."""
        return int(self._db.execute("SELECT at FROM noted").fetchone()[0])

    def _write(self, rows: list[tuple[object, ...]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(UPSERT, rows)
        self._db.execute("DELETE FROM noted")
        self._db.execute("INSERT INTO noted VALUES (?)", [max(row[-1] for row in rows)])  # type: ignore[type-var]
        self._db.execute("COMMIT")


def measured(base: Path, *, events: int, keys: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each batch: of a tail, by hand, and of the bare upsert."""
    found: dict[str, list[float]] = {"tail": [], "hand": [], "upsert": []}
    root = base / f"project-{events}-{keys}"
    migration = new_project(root, SETTINGS, {"views_v1/totals.sql": VIEW})
    con = floors.connect()
    with closing(con), closing(ByHand(con, base / f"hand-{events}-{keys}.db")) as hand:
        write(con, root, 1, events, keys)
        migration.import_(every=True)
        migration.replay()
        hand.load(of_log(root))
        with migration._workspace.open() as handles, ExitStack() as stack:  # noqa: SLF001  (a batch is measured, not the opening of a project)
            holding = stack.enter_context(Holding(handles.builds, "benchmark"))
            holding.take()
            plans = {one.view.name: one for one in handles.plans}
            with Tail(
                handles.engine, handles.log, handles.builds, holding.leases, lambda _, one: plans[one.view]
            ) as tail:
                for number in range(rounds + 1):
                    first = events + 1 + number * batch
                    write(con, root, first, batch, keys)
                    migration.import_(every=True)
                    handles.log.refresh()
                    tail.pace.size = batch
                    events_of_batch = made(first, batch, keys)
                    todo: list[tuple[str, Callable[[], float]]] = [
                        ("tail", partial(seconds, tail.catch_up, Position(first + batch - 1))),
                        ("hand", partial(hand.batch, events_of_batch)),
                        ("upsert", partial(hand.upsert, events_of_batch)),
                    ]
                    for name, measure in todo if number % 2 else reversed(todo):
                        found[name].append(measure())
    return {name: seconds[1:] for name, seconds in found.items()}


def seconds(function: Callable[..., object], *given: object) -> float:
    """How long a call takes."""
    return floors.timed(function, *given)[0]


def of_log(root: Path, after: int = 0) -> str:
    """The events of a project's log, as `made` gives them."""
    files = f"read_parquet('{root}/.dualgauge/log/events-*.parquet')"
    return f"SELECT position, event_id, k, amt, occurred_at AS ts FROM {files} WHERE position > {after:d}"


def replays(root: Path, base: Path, rounds: int) -> tuple[list[float], list[float], float]:
    """Seconds of each replay and of each load by hand of the whole log; megabytes at a replay's peak."""
    migration, ours, theirs = dualgauge.open(root), list[float](), list[float]()
    for number in range(rounds):
        file = base / f"loaded-{number}.db"
        with closing(floors.connect()) as con, closing(ByHand(con, file)) as hand:
            todo = [(theirs, partial(seconds, hand.load, of_log(root))), (ours, partial(seconds, replayed, migration))]
            for found, measure in todo if number % 2 else reversed(todo):
                found.append(measure())
        file.unlink()
    source = Path(dualgauge.__file__).parents[1]
    peak = _child.run(REPLAYS, source, {"root": str(root)})["peak"]
    return ours, theirs, peak * 2**20 / 1e6


def replayed(migration: dualgauge.Migration) -> None:
    """Build the view anew."""
    migration.replay(force=True)


REPLAYS = """
import dualgauge
before = used()
done = dualgauge.open(root, memory_limit="1GB").replay(force=True)
told(done.position, before)
"""

WRITES = """
import json, sys, time
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event
root, first, rate, seconds = sys.argv[1], *map(int, sys.argv[2:])
part, said = max(1, rate // 20), []
at = datetime(2027, 1, 1, tzinfo=UTC)
with dualgauge.open(root).appender() as log:
    log.append([Event(f"lag-{first}", "paid", at, {"k": 1, "amt": 1})])
    print("ready", flush=True)
    begun = time.monotonic()
    for number in range(1, rate * seconds // part + 1):
        time.sleep(max(0.0, begun + number * part / rate - time.monotonic()))
        name = f"lag-{first}-{number}"
        keys = [(number * 7919 + one) % 100_000 for one in range(part)]
        added = [Event(f"{name}-{one}", "paid", at, {"k": key, "amt": 1}) for one, key in enumerate(keys)]
        said.append((log.append(added)[-1], time.monotonic()))
print(json.dumps(said))
"""

FOLLOWS = """
import sys
sys.path.insert(0, sys.argv[3])
import dual_run, floors
from pathlib import Path
root, file = Path(sys.argv[1]), Path(sys.argv[2])
dual_run.follow_by_hand(root, dual_run.ByHand(floors.connect(), file))
"""


def follow_by_hand(root: Path, hand: ByHand) -> None:
    """The bare loop: look at the log, merge what is new, upsert it, note how far it is."""
    from deltalake import DeltaTable

    log = DeltaTable(str(root / ".dualgauge" / "log"))
    known, at, pause = set(log.file_uris()), hand.noted(), 0.02
    print("ready", flush=True)
    while True:
        log.update_incremental()
        new = sorted(set(log.file_uris()) - known)
        if new:
            names = ", ".join(f"'{one}'" for one in new)
            relation = f"SELECT position, event_id, k, amt, occurred_at AS ts FROM read_parquet([{names}])"
            hand.batch(f"{relation} WHERE position > {at:d}")
            known.update(new)
            at, pause = hand.noted(), 0.02
        else:
            pause = min(1.0, pause * 1.5)
        time.sleep(pause)


def lags(root: Path, base: Path, rate: int, length: int, rounds: int) -> tuple[list[float], list[float], float]:
    """Seconds from the commit of an event until readers see it: by a tail, and by the bare loop; an idle tail."""
    ours, theirs, idle = list[float](), list[float](), list[float]()
    tail = [sys.executable, "-m", "dualgauge", "tail", "--project", str(root)]
    store = root / ".dualgauge" / "views_v1.db"
    for number in range(rounds):
        dualgauge.open(root).tail(once=True)
        with started(tail) as child:
            time.sleep(3)
            before = spent(child.pid)
            time.sleep(length)
            idle.append((spent(child.pid) - before) / length)
            asked = "SELECT position FROM _dualgauge_checkpoint ORDER BY build DESC LIMIT 1"
            ours += waited(store, asked, [str(root), *map(str, (number * 2, rate, length))])
        file = base / f"bare-{number}.db"
        with closing(floors.connect()) as con, closing(ByHand(con, file)) as hand:
            hand.load(of_log(root))
        with started([sys.executable, "-c", FOLLOWS, str(root), str(file), str(Path(__file__).parent)]) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            theirs += waited(file, "SELECT at FROM noted", [str(root), *map(str, (number * 2 + 1, rate, length))])
    return ours, theirs, statistics.median(idle)


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process, which is ended at the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603  (our own scripts)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()


def spent(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(file: Path, asked: str, arguments: list[str]) -> list[float]:
    """Append, and look in a store how far it is: seconds of each append, from its commit until it is there."""
    seen: list[tuple[int, float]] = []
    with started([sys.executable, "-c", WRITES, *arguments]) as writer, closing(sqlite3.connect(file)) as db:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        until = time.monotonic() + int(arguments[-1]) + 60
        last = None
        while time.monotonic() < until:
            ((at,),) = db.execute(asked).fetchall()
            seen.append((at, time.monotonic()))
            if writer.poll() is not None and last is None:
                said = json.loads(writer.stdout.readline())
                last = said[-1][0]
            if last is not None and at >= last:
                break
            time.sleep(0.002)
    return [next(moment for at, moment in seen if at >= position) - committed for position, committed in said]


def of_hundred(found: list[float], share: int) -> float:
    """What so many of a hundred values are at most."""
    return statistics.quantiles(found, n=100)[share - 1]


def write(con: duckdb.DuckDBPyConnection, root: Path, first: int, count: int, keys: int) -> None:
    """Write events into a file of the project's source."""
    con.sql(made(first, count, keys)).project("event_id, k, amt, ts").to_parquet(
        str(root / f"events-{first:012d}.parquet")
    )


def main() -> int:
    """Measure, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--more", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--replays", type=int, default=3)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=10, help="of appending, in each of two rounds")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        sizes = {"batch": asked.batch, "rounds": asked.rounds}
        one = measured(base, events=asked.events, keys=asked.keys, **sizes)
        more = measured(base, events=asked.events, keys=asked.more, **sizes)
        small = measured(base, events=asked.events // 20, keys=asked.keys, **sizes)
        whole, loaded, peak = replays(base / f"project-{asked.events}-{asked.more}", base, asked.replays)
        ours, theirs, idle = lags(
            base / f"project-{asked.events // 20}-{asked.keys}", base, asked.rate, asked.seconds, 2
        )
    middle = {
        (name, what): 1000 * statistics.median(found[what])
        for name, found in (("one", one), ("more", more), ("small", small))
        for what in found
    }
    figures = [
        Figure("batch", "ms", middle["one", "tail"], middle["one", "hand"], 1.3),
        Figure("upsert", "ms", middle["one", "tail"], middle["one", "upsert"], 2.2),
        Figure("batch of more", "ms", middle["more", "tail"], middle["more", "hand"], 1.3),
        Figure("upsert of more", "ms", middle["more", "tail"], middle["more", "upsert"], 2.2),
        Figure("history", "ms", middle["one", "tail"], middle["small", "tail"], 1.3),
        Figure("replay", "s", statistics.median(whole), statistics.median(loaded), 1.4),
        Figure("replay peak", "MB", peak, bar=1300.0),
        Figure("lag", "ms", 1000 * of_hundred(ours, 99), 1000 * of_hundred(theirs, 99)),
        Figure("idle", "ms/s", 1000 * idle),
    ]
    title = f"A batch of {asked.batch:,} events into a view of {asked.keys:,} and {asked.more:,} keys"
    names = ("events", "keys", "more", "batch", "rounds", "replays", "rate", "seconds")
    return publish(
        "dual_run", title, figures, sizes={name: getattr(asked, name) for name in names},
        versions=releases(LIBRARIES), to=asked.json,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
