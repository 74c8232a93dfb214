"""Rows of a build out of the store: here, or by Arrow's driver in a process of their own; both tell the same."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from contract.store import ROOT, TOTALS, build, rows
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.engines.parquet_files import parquet
from dualgauge.model import Side, quote
from dualgauge.stores.errors import BuildGone, NotADatabase, ReadingEnded
from dualgauge.stores.serving.shapes import Shape
from dualgauge.stores.serving.types import bound_columns, restored
from dualgauge.stores.sqlite import export
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
from support.store_types import VALUES

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = {f"c{number} {kind[:20]}": kind for number, kind in enumerate(VALUES)}
ODD = Shape(Side.V1, "odd 'view\"", {"n": "BIGINT", **COLUMNS}, ("n",))


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    folder = tmp_path / "er's %20 é=1 folder"
    made = SqliteStore(Databases(v1=folder / "views_v1.db", v2=folder / "views_v2.db"))
    migrations = tmp_path / "migrations"
    (migrations / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (migrations / name).write_text((ROOT / "migrations" / name).read_text())
    made.revise(migrations, [TOTALS, ODD], "shapes")
    made.upgrade(migrations, [TOTALS, ODD])
    return made


def exported(store: SqliteStore, shape: Shape, to: Path) -> pa.Table:
    columns = {**shape.columns, "_position": "BIGINT"}
    with store.snapshot(shape.side) as snapshot, snapshot.export(shape.view, columns, to) as written:
        counts = list(written)
    with pq.ParquetFile(to) as opened:
        table = opened.read()
    assert counts[-1:] == [table.num_rows][: table.num_rows]
    return table


def both_ways(store: SqliteStore, shape: Shape, folder: Path, patch: pytest.MonkeyPatch) -> pa.Table:
    """The rows, which are the same in both ways."""
    here = exported(store, shape, folder / "here.parquet")
    patch.setattr(export, "LARGE", 0)
    apart = exported(store, shape, folder / "apart.parquet")
    assert apart.schema == here.schema
    assert apart.equals(here)
    return here


def odd_rows(engine: Engine, order: int) -> list[tuple[Any, ...]]:
    """Every value of every type as a load binds it; the values of a column, NULL among them, begin at one of them."""
    expressions = [[*values, "NULL"] for values in VALUES.values()]
    turned = [one[order % len(one) :] + one[: order % len(one)] for one in expressions]
    found = []
    for number, values in enumerate(zip_longest(*turned, fillvalue="NULL")):
        typed = (
            f"CAST({value} AS {kind}) AS {quote(name)}"
            for value, (name, kind) in zip(values, COLUMNS.items(), strict=True)
        )
        bound = bound_columns("v1.odd", {"n": "BIGINT", **COLUMNS}, "sqlite")
        found.append((*engine.row(f"SELECT {', '.join(bound)} FROM (SELECT {number} AS n, {', '.join(typed)})"), 1))
    return found


@pytest.mark.parametrize("order", [0, 1, -1], ids=["a value first", "the second first", "NULL first"])
def test_every_value_of_every_type_comes_back_in_both_ways(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    with open_engine(threads=1) as engine:
        given = odd_rows(engine, order)
        build(store, ODD, given, target=1)

        both_ways(store, ODD, tmp_path, monkeypatch)

        kept, typed = restored("v1.odd", ODD.columns, "sqlite")
        file = parquet([tmp_path / "apart.parquet"], kept)
        bound = ", ".join(bound_columns("v1.odd", dict(ODD.columns), "sqlite"))
        # What came back is bound as what went in.
        assert engine.rows(f"SELECT {bound}, 1 FROM (SELECT {typed} FROM ({file})) ORDER BY n") == given


def numbers(store: SqliteStore, texts: list[str | None]) -> str:
    """A build with so many rows, of which one column of decimals has values; its name."""
    name = next(one for one, kind in COLUMNS.items() if kind == "DECIMAL(12,3)")
    given = [(n, *(text if one == name else None for one in COLUMNS), 1) for n, text in enumerate(texts)]
    build(store, ODD, given, target=1)
    return name


def test_a_number_that_is_whole_in_a_column_of_fractions_is_one_of_them(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = numbers(store, ["2.00", "0.125", None, "-7"])

    table = both_ways(store, ODD, tmp_path, monkeypatch)

    assert table[name].to_pylist() == [2.0, 0.125, None, -7.0]


@pytest.mark.parametrize("count", [0, 1, 49_999, 50_000, 50_001, 120_000])
def test_each_row_is_written_once_however_many_there_are(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    build(store, TOTALS, [(f"c{number:07d}", number, 1) for number in range(count)], target=1)

    table = both_ways(store, TOTALS, tmp_path, monkeypatch)

    assert table["orders"].to_pylist() == list(range(count))


def test_a_large_build_is_read_apart_and_a_small_one_here(store: SqliteStore, tmp_path: Path) -> None:
    seen = {}
    for count in (export.LARGE, export.LARGE + 1):
        build(store, TOTALS, [(f"c{number:07d}", number, 1) for number in range(count)], target=1)
        exported(store, TOTALS, tmp_path / f"{count}.parquet")
        seen[count] = (tmp_path / f"{count}.json").exists()
    assert seen == {export.LARGE: False, export.LARGE + 1: True}


def test_a_build_that_was_replaced_twice_before_it_was_looked_at_is_told(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGE", 0)
    build(store, TOTALS, rows(9, 1), target=1)
    with store.snapshot(Side.V1) as snapshot:
        for target in (2, 3):
            build(store, TOTALS, rows(9, target), target)
        with (
            snapshot.export("totals", TOTALS.columns, tmp_path / "x.parquet") as written,
            pytest.raises(BuildGone, match=r"view v1.totals: its build was replaced while it was read; nothing was co"),
        ):
            list(written)


@pytest.mark.parametrize("change", ["position = 2", "token = 'of another build'", "view = 'another'"])
def test_a_build_whose_checkpoint_is_another_is_told(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(export, "LARGE", 0)
    build(store, TOTALS, rows(9, 1), target=1)
    with store.snapshot(Side.V1) as snapshot:
        other = sqlite3.connect(store.databases.v1)
        other.execute(f"UPDATE _dualgauge_checkpoint SET {change}")
        other.commit()
        other.close()
        with snapshot.export("totals", TOTALS.columns, tmp_path / "x.parquet") as written, pytest.raises(BuildGone):
            list(written)


def test_several_are_read_at_once_and_each_in_its_own_file(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGE", 0)
    build(store, TOTALS, rows(300, 1), target=1)
    files = [tmp_path / f"{number}.parquet" for number in range(4)]
    with store.snapshot(Side.V1) as snapshot:
        begun = [snapshot.export("totals", TOTALS.columns, file) for file in files]
        written = [one.__enter__() for one in begun]
        assert [list(one) for one in written] == [[300]] * 4
        for one in begun:
            one.__exit__(None, None, None)
    tables = [pq.ParquetFile(file).read() for file in files]
    assert all(one.equals(tables[0]) for one in tables)


def readers() -> list[int]:
    """Children of this process that run the program that reads."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            words = stat.with_name("cmdline").read_bytes()
            found += [int(stat.parent.name)] if int(parent) == os.getpid() and b"export_process.py" in words else []
    return found


@pytest.mark.parametrize("moment", ["at once", "behind the first rows"])
def test_a_reading_that_is_killed_is_told_and_the_file_is_whole(
    store: SqliteStore, tmp_path: Path, moment: str
) -> None:
    count = export.LARGE * 3
    build(store, TOTALS, [(f"c{number:07d}", number, 1) for number in range(count)], target=1)
    with (
        store.snapshot(Side.V1) as snapshot,
        snapshot.export("totals", TOTALS.columns, tmp_path / "x.parquet") as written,
    ):
        if moment == "behind the first rows":
            assert next(written) > 0
        [reader] = readers()
        os.kill(reader, signal.SIGKILL)
        with pytest.raises(ReadingEnded, match=r"views_v1.db could not be read to its end: .*; nothing was compared"):
            list(written)
    assert sqlite3.connect(store.databases.v1).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(exported(store, TOTALS, tmp_path / "again.parquet")) == count


def test_who_leaves_early_leaves_no_process(store: SqliteStore, tmp_path: Path) -> None:
    build(store, TOTALS, [(f"c{number:07d}", number, 1) for number in range(export.LARGE * 3)], target=1)
    with (
        store.snapshot(Side.V1) as snapshot,
        snapshot.export("totals", TOTALS.columns, tmp_path / "x.parquet") as written,
    ):
        assert next(written) > 0
        assert len(readers()) == 1
    assert readers() == []


def damage(file: Path) -> None:
    """Write over the middle of a SQLite file."""
    raw = sqlite3.connect(file)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(b"\xa5" * 200_000)


def test_a_damaged_file_is_told_as_such(store: SqliteStore, tmp_path: Path) -> None:
    build(store, TOTALS, [(f"c{number:07d}", number, 1) for number in range(export.LARGE * 2)], target=1)
    damage(store.databases.v1)
    with pytest.raises(NotADatabase, match="malformed"):
        exported(store, TOTALS, tmp_path / "x.parquet")


@pytest.mark.parametrize("large", [0, export.LARGE], ids=["apart", "here"])
def test_what_is_no_number_in_a_column_of_numbers_is_never_taken_for_one(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(export, "LARGE", large)
    name = numbers(store, ["2.5", "2.5", "2.5"])
    other = sqlite3.connect(store.databases.v1)
    other.execute(f"UPDATE {quote(ODD.view + '__b1')} SET {quote(name)} = 'two' WHERE n = 1")
    other.commit()
    other.close()
    with pytest.raises(ReadingEnded, match=r"views_v1.db could not be read to its end"):
        exported(store, ODD, tmp_path / "x.parquet")


IGNORING = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from dualgauge.errors import DualgaugeError
from dualgauge.model import Side
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
v1, v2, to = map(Path, sys.argv[1:])
try:
    with SqliteStore(Databases(v1=v1, v2=v2)).snapshot(Side.V1) as snapshot:
        with snapshot.export("totals", {"customer": "VARCHAR", "_position": "BIGINT"}, to) as written:
            print(list(written)[-1:])
except DualgaugeError as fault:
    print(type(fault).__name__)
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_rows_are_never_lost_where_nobody_hears_of_the_end_of_a_process(
    store: SqliteStore, tmp_path: Path, *, damaged: bool
) -> None:
    count = export.LARGE * 2
    build(store, TOTALS, [(f"c{number:07d}", number, 1) for number in range(count)], target=1)
    if damaged:
        damage(store.databases.v1)
    done = subprocess.run(
        [sys.executable, "-c", IGNORING, *map(str, (store.databases.v1, store.databases.v2, tmp_path / "x.parquet"))],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout.strip() == ("NotADatabase" if damaged else f"[{count}]")


@pytest.mark.parametrize("end", ["print('done', flush=True)", "", "sys.exit(3)", "raise ValueError('no more')"])
def test_what_libraries_say_in_the_process_that_reads_is_no_row_of_it_and_holds_nothing_up(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nsys.stderr.write('warning\\n' * 100_000)\nprint('hello', flush=True)\n"
        f"print('rows', 7, flush=True)\n{end}\n"
    )
    monkeypatch.setattr(export, "_PROGRAM", program)
    monkeypatch.setattr(export, "LARGE", 0)
    build(store, TOTALS, rows(9, 1), target=1)
    with (
        store.snapshot(Side.V1) as snapshot,
        snapshot.export("totals", TOTALS.columns, tmp_path / "x.parquet") as written,
    ):
        assert next(written) == 7
        if "done" in end:
            assert list(written) == []
        else:
            with pytest.raises(ReadingEnded):
                list(written)
