"""
What the event log costs: importing, appending, reading and verifying, as ratios to the least work any tool must do.

The floors are written by hand in floors.py and run in turn with what is measured, in one process; a figure is the
median of its rounds. What is measured:

import          a Parquet file of `--import-events` into a new log by `Migration.import_`; floor: the same events, made
                by a query, into a new Delta table by one write, and one pass of DuckDB that finds repeated ids.
append          1,000 events to a log of `--events`, by `log.append`, looked up by their ids; floor: one commit of 1,000
                events through an open Delta table of as many, by `write_deltalake`, which looks nothing up.
append flat     the same append at `--events`, as a ratio to one at a tenth of them.
small import    1,000 new rows of a new CSV file into a log of `--events`, by `Migration.import_` in a process that has
                the modules; floor: our own append of as many to that log, through an appender that is open.
beside files    the same import where `--files` files of the source were taken in before; the same floor.
retry           the same 1,000 events again: found, read and compared, and not written. No bar.
together        an append of 10 events, of two processes that never pause for `--seconds`; floor: of one alone.
two, eight      of so many such processes, the appends of the quickest; floor: those of the slowest.
read            10,000 positions in the middle of the log; floor: DuckDB reads the file that holds them.
verify          `Migration.verify`; floor: every file hashed, and one scan of DuckDB over positions and ids.

Prints a table and, as the last line, one JSON object. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import floors
from _figures import Figure, publish, releases
from deltalake import DeltaTable

import dualgauge
from dualgauge import Event
from dualgauge.eventlog.table.open import open_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualgauge.eventlog.table.event_log import EventLog

SETTINGS = """[tool.dualgauge]
migration = "benchmark"
[tool.dualgauge.log.columns]
k = "BIGINT"
amt = "DECIMAL(18,2)"
[[tool.dualgauge.sources]]
name = "payments"
path = "{events}"
event_id = "event_id"
type = "'paid'"
occurred_at = "ts"
[[tool.dualgauge.sources]]
name = "daily"
path = "daily/*.csv"
event_id = "id"
type = "'paid'"
occurred_at = "ts"
"""

TWICE = "SELECT count(*) FROM (SELECT event_id FROM read_parquet({files!r}) GROUP BY event_id HAVING count(*) > 1)"
SCAN = "SELECT count(*), count(DISTINCT event_id), min(position), max(position) FROM read_parquet({files!r})"
SIZE = 1_000
START = datetime(2020, 1, 1, tzinfo=UTC)
LIBRARIES = ("duckdb", "deltalake", "pyarrow", "numpy", "sqlalchemy")


def new_project(root: Path, events: Path) -> dualgauge.Migration:
    """Lay out a project whose one source is a Parquet file."""
    root.mkdir(parents=True)
    (root / "pyproject.toml").write_text(SETTINGS.format(events=events), encoding="utf-8")
    return dualgauge.open(root)


def opened(migration: dualgauge.Migration) -> EventLog:
    """The project's log, to look into."""
    return open_log(migration.project.path(migration.settings.log.path), migration.settings.log)


def write_events(file: Path, count: int, keys: int) -> None:
    """Write the floors' events, from position 1, to a Parquet file."""
    con = floors.connect()
    try:
        made = floors.events(con, 1, count, keys).project("event_id, k, amt::DECIMAL(18, 2) AS amt, ts")
        made.to_parquet(str(file))
    finally:
        con.close()


def imports(base: Path, count: int, keys: int, rounds: int) -> Figure:
    """Time the import of a Parquet file."""
    events = base / "import.parquet"
    write_events(events, count, keys)
    ours, theirs = [], []
    for number in range(rounds):
        folder = base / f"import-{number}"
        turns = (import_once, import_floor) if number % 2 else (import_floor, import_once)
        for turn in turns:
            (ours if turn is import_once else theirs).append(turn(folder, events, count, keys))
        shutil.rmtree(folder)
    events.unlink()
    return Figure("import", "s", statistics.median(ours), statistics.median(theirs), bar=1.5)


def import_once(folder: Path, events: Path, count: int, keys: int) -> float:  # noqa: ARG001  (as the floor)
    """Seconds of one import by dualgauge."""
    migration = new_project(folder / "ours", events)
    seconds, done = floors.timed(migration.import_, "payments")
    assert (done.added, done.last) == (count, count)
    return seconds


def import_floor(folder: Path, events: Path, count: int, keys: int) -> float:  # noqa: ARG001  (as ours)
    """Seconds of a bulk write, and of a pass that finds repeated ids."""
    con = floors.connect()
    try:
        log = str(folder / "floor")
        (folder / "floor").mkdir(parents=True)
        written, _ = floors.timed(floors.bulk_write, con, log, count, keys)
        files = DeltaTable(log).file_uris()
        seconds, found = floors.timed(lambda: con.execute(TWICE.format(files=files)).fetchone())
        assert found == (0,)
    finally:
        con.close()
    return written + seconds


def batch(number: int) -> list[Event]:
    """Give 1,000 events that no log has."""
    return [
        Event(
            f"appended-{number}-{i}", "paid", START + timedelta(seconds=i), {"k": i, "amt": Decimal(i % 1000) / 100}
        )
        for i in range(SIZE)
    ]  # fmt: skip


def filled(root: Path, count: int, keys: int) -> dualgauge.Migration:
    """A project whose log holds `count` events."""
    events = root.with_suffix(".parquet")
    write_events(events, count, keys)
    migration = new_project(root, events)
    assert migration.import_("payments").last == count
    events.unlink()
    return migration


def appends(base: Path, count: int, keys: int, repeats: int) -> tuple[list[Figure], dualgauge.Migration]:
    """Time appends to a large log, to one of a tenth, and to a plain Delta table as large; give the large log, too."""
    large, small = filled(base / "large", count, keys), filled(base / "small", count // 10, keys)
    con = floors.connect()
    plain = str(base / "plain")
    Path(plain).mkdir()
    try:
        floors.bulk_write(con, plain, count, keys)
        opened = DeltaTable(plain)
        times: dict[str, list[float]] = {name: [] for name in ("large", "small", "floor", "retry")}
        with large.appender() as far, small.appender() as near:
            # The first call makes the index of ids, once in a log's life.
            first, _ = floors.timed(far.append, batch(0))
            near.append(batch(0))
            for number in range(1, repeats + 1):
                events = batch(number)
                floor = (floors.small_commit, con, opened, count + 1 + number * SIZE, SIZE, keys)
                turns = {"large": (far.append, events), "small": (near.append, events), "floor": floor}
                for name in turns if number % 2 else reversed(turns):
                    times[name].append(floors.timed(*turns[name])[0])
                seconds, again = floors.timed(far.append, events)
                assert again == list(range(count + number * SIZE + 1, count + (number + 1) * SIZE + 1))
                times["retry"].append(seconds)
    finally:
        con.close()
    shutil.rmtree(plain)
    shutil.rmtree(base / "small")
    middle = {name: 1000 * statistics.median(one) for name, one in times.items()}
    figures = [
        Figure("append", "ms", middle["large"], middle["floor"], bar=8.0),
        Figure("append flat", "ms", middle["large"], middle["small"], bar=1.5),
        Figure("retry", "ms", middle["retry"], middle["floor"]),
        Figure("index", "s", first),
    ]
    return figures, large


def small_imports(large: dualgauge.Migration, files: int, repeats: int) -> list[Figure]:
    """Time imports of 1,000 rows into a large log, where a few files were taken in before, and where many were."""
    few, many = large.project.root, large.project.root.with_name("many")
    shutil.copytree(few, many)
    for number in range(files):
        write_rows(many, f"old-{number}", 1)
    for root in (few, many):
        write_rows(root, "first", 1)
        dualgauge.open(root).import_("daily")
    # What was written within the last seconds is looked at once more by the next import.
    time.sleep(4)
    times: dict[str, list[float]] = {"few": [], "many": [], "append": []}
    with large.appender() as log:
        for number in range(repeats + 2):
            turns = (("few", few), ("many", many))
            for name, root in turns if number % 2 else reversed(turns):
                write_rows(root, f"new-{number}", SIZE)
                seconds, done = floors.timed(dualgauge.open(root).import_, "daily")
                assert done.added == SIZE
                times[name].append(seconds)
            times["append"].append(floors.timed(log.append, batch(1_000_000 + number))[0])
    shutil.rmtree(many)
    # The first ones load modules, and read what the files were.
    middle = {name: 1000 * statistics.median(one[2:]) for name, one in times.items()}
    return [
        Figure("small import", "ms", middle["few"], middle["append"], bar=2.5),
        Figure("beside files", "ms", middle["many"], middle["append"], bar=2.5),
    ]


def write_rows(root: Path, name: str, count: int) -> None:
    """Write a CSV file of so many rows that no log has."""
    folder = root / "daily"
    folder.mkdir(exist_ok=True)
    rows = (f"{name}-{i},2026-01-02T00:00:{i % 60:02d}Z,{i},{i % 1000 / 100:.2f}\n" for i in range(count))
    (folder / f"{name}.csv").write_text("id,ts,k,amt\n" + "".join(rows), encoding="utf-8")


WRITER = """
import sys, time
from datetime import UTC, datetime
import dualgauge
from dualgauge import Event

root, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
with dualgauge.open(root).appender() as log:
    log.append([Event(f"{name}-first", "paid", datetime(2026, 1, 1, tzinfo=UTC))])
    print("ready", flush=True)
    sys.stdin.readline()
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        log.append([Event(f"{name}-{count}-{i}", "paid", datetime(2026, 1, 1, tzinfo=UTC)) for i in range(10)])
        count += 1
print(count, flush=True)
"""


def paces(root: Path, writers: int, seconds: float) -> list[int]:
    """How many appends each of some processes makes at the same time, in a new log."""
    new_project(root, root / "none.parquet")
    command = [sys.executable, "-c", WRITER, str(root)]
    children = [
        subprocess.Popen(  # noqa: S603  (this script's own text)
            [*command, f"w{number}", str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(writers)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [int(child.communicate()[0]) for child in children]


def writers(base: Path, seconds: float, rounds: int) -> list[Figure]:
    """Let processes append to one log: what two do together, and what the slowest gets of the turns."""
    found: dict[int, list[list[int]]] = {1: [], 2: [], 8: []}
    for number in range(rounds):
        for count, counts in found.items():
            counts.append(paces(base / f"writers-{count}-{number}", count, seconds))
    alone, two = (seconds / statistics.median(sum(one) for one in found[count]) for count in (1, 2))
    figures = [Figure("together", "ms", 1000 * two, 1000 * alone, bar=1.25)]
    for name, count, bar in (("two", 2, 1 / 0.7), ("eight", 8, 2.0)):
        quickest, slowest = (statistics.median(pick(one) for one in found[count]) for pick in (max, min))
        figures.append(Figure(name, "", quickest, slowest, bar=round(bar, 2)))
    return figures


def reads(migration: dualgauge.Migration, rounds: int) -> Figure:
    """Time the reading of 10,000 positions in the middle."""
    log = opened(migration)
    middle = log.head().last // 2
    wanted = min(10_000, middle)
    holding = [one for one in log.event_files() if one.last >= middle and one.first < middle + wanted]
    ours, theirs = [], []
    con = floors.connect()
    try:
        names = [str(log.place.local(one.name, one.size)) for one in holding]
        for _ in range(rounds):
            seconds, found = floors.timed(migration.log.show, middle, wanted)
            assert (found.events[0]["position"], len(found.events)) == (middle, wanted)
            ours.append(seconds)
            query = f"""SELECT * FROM read_parquet({names!r})
                WHERE position BETWEEN {middle:d} AND {middle + wanted - 1:d} ORDER BY position"""
            theirs.append(floors.timed(lambda query=query: con.sql(query).to_arrow_table().to_pylist())[0])
    finally:
        con.close()
    return Figure("read", "ms", 1000 * statistics.median(ours), 1000 * statistics.median(theirs))


def verifies(migration: dualgauge.Migration, rounds: int) -> Figure:
    """Time a whole verification."""
    log = opened(migration)
    files = [str(file) for file in log.files()]
    ours, theirs = [], []
    for _ in range(rounds):
        seconds, found = floors.timed(migration.log.verify)
        assert found.sound
        ours.append(seconds)
        theirs.append(floors.timed(verify_floor, files, log.head().last)[0])
    return Figure("verify", "s", statistics.median(ours), statistics.median(theirs), bar=2.0)


def verify_floor(files: Sequence[str], last: int) -> None:
    """Hash the files, and scan positions and ids once."""
    for name in files:
        with Path(name).open("rb") as file:
            hashlib.file_digest(file, "sha256")
    con = floors.connect()
    try:
        assert con.execute(SCAN.format(files=list(files))).fetchone() == (last, last, 1, last)
    finally:
        con.close()


def main() -> int:
    """Measure everything; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description="Figures of the event log as ratios to floors written by hand.")
    parser.add_argument("--import-events", type=int, default=5_000_000)
    parser.add_argument("--events", type=int, default=10_000_000, help="of the log that is appended to")
    parser.add_argument("--keys", type=int, default=floors.KEYS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=4_000, help="that a source has beside the new one")
    parser.add_argument("--repeats", type=int, default=15, help="of an append")
    parser.add_argument("--seconds", type=float, default=10.0, help="that writers append for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON line to a file, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualgauge-bench-") as folder:
        base = Path(folder)
        imported = imports(base, given.import_events, given.keys, given.rounds)
        appended, large = appends(base, given.events, given.keys, given.repeats)
        small = small_imports(large, given.files, given.repeats)
        together = writers(base, given.seconds, given.rounds)
        figures = [imported, *appended, *small, *together, reads(large, given.rounds), verifies(large, given.rounds)]
    return publish(
        "eventlog",
        f"an import of {given.import_events:,} events; a log of {given.events:,}, appends of {SIZE:,}\n"
        f"medians of {given.rounds} rounds, of appends {given.repeats}",
        figures,
        sizes={
            "import_events": given.import_events,
            "events": given.events,
            "keys": given.keys,
            "files": given.files,
            "rounds": given.rounds,
            "repeats": given.repeats,
            "seconds": given.seconds,
        },
        versions=releases(LIBRARIES),
        to=given.json,
    )


if __name__ == "__main__":
    sys.exit(main())
