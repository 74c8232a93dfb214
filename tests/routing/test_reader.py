"""Readers over the serving store: the same Python values of both sides, from any thread, after any fork."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import signal
import sqlite3
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.store import build
from dualgauge.engines.duck import Engine, open_engine
from dualgauge.model import Side, literal, quote
from dualgauge.stores.serving.shapes import Shape
from dualgauge.stores.serving.types import bound_columns
from dualgauge.stores.sqlite.database import Databases
from dualgauge.stores.sqlite.store import SqliteStore
from dualgauge_router import Router
from dualgauge_router.evidence import hash_of
from dualgauge_router.stores.errors import (
    BadKey,
    BadStore,
    NoStore,
    NotIndexed,
    NotServed,
    NoTypes,
    OtherKey,
    ReaderClosed,
    StoreBusy,
    TooManyRows,
    Unreadable,
)
from dualgauge_router.stores.freshness import NotFresh
from dualgauge_router.stores.points import SideReader
from routing.test_read_evidence import SAID, count_for, now, route
from routing.test_shadows import canary, routed, settled
from support.ledgers import move
from support.store_types import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(threads=1) as opened:
        yield opened


class Shop:
    """A serving store in a folder, and readers over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(Databases(v1=folder / "views_v1.db", v2=folder / "views_v2.db"))
        shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("versions"))

    def serve(self, shape: Shape, rows: Sequence[tuple[Any, ...]], at: int = 1) -> None:
        """Give readers a build of rows as a load binds them."""
        self.store.revise(self.folder / "migrations", [shape], shape.view)
        self.store.upgrade(self.folder / "migrations", [shape])
        build(self.store, shape, [(*row, 1) for row in rows], target=at)

    def side(self, side: Side = Side.V1) -> SideReader:
        return SideReader(self.store.databases.file(side), side)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/views_{{side}}.db"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def bound(engine: Engine, columns: Mapping[str, str], values: Sequence[Sequence[str]]) -> list[tuple[Any, ...]]:
    """What a load binds for rows of DuckDB expressions."""
    made = ", ".join(bound_columns("v1.v", columns, "sqlite"))
    found = []
    for row in values:
        given = ", ".join(
            f"CAST({value} AS {kind}) AS {quote(name)}"
            for value, (name, kind) in zip(row, columns.items(), strict=True)
        )
        found.append(engine.row(f"SELECT {made} FROM (SELECT {given})"))
    return found


def python_of(engine: Engine, kind: str, value: str) -> object:
    """DuckDB's own Python value, but for JSON, which it gives as text, and times with a zone, which want a library."""
    if kind.startswith("TIMESTAMP WITH TIME ZONE"):
        whole = f"CAST({value} AS {kind})"
        in_utc = f"[one AT TIME ZONE 'UTC' FOR one IN {whole}]" if kind.endswith("]") else f"{whole} AT TIME ZONE 'UTC'"
        [moments] = engine.row(f"SELECT {in_utc}")
        if isinstance(moments, list):
            return [one.replace(tzinfo=dt.UTC) for one in moments]
        return moments and moments.replace(tzinfo=dt.UTC)
    [found] = engine.row(f"SELECT CAST({value} AS {kind})")
    if kind == "JSON" and found is not None:
        return json.loads(found, parse_float=Decimal)
    return found


def same(found: object, wanted: object) -> bool:
    """Whether values are equal, of one type, to the last digit."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict) and list(found) == list(wanted) and all(same(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, (list, tuple)):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    return (
        type(found) is type(wanted)
        and found == wanted
        and (not isinstance(wanted, Decimal) or str(found) == str(wanted))
    )


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_the_python_value_of_its_type(engine: Engine, shop: Shop, kind: str) -> None:
    values = [*VALUES[kind], "NULL"]
    columns = {"id": "BIGINT", "the value": kind}
    rows = bound(engine, columns, [(str(at), value) for at, value in enumerate(values)])
    shop.serve(Shape(Side.V1, "v", columns, ("id",)), rows)

    found = shop.side().page("v").rows

    wanted = [python_of(engine, kind, value) for value in values]
    assert [one["id"] for one in found] == list(range(len(values)))
    for one, value in zip(found, wanted, strict=True):
        assert same(one["the value"], value), (one, value)


NAIVE = dt.datetime(2024, 1, 1)  # noqa: DTZ001  (without a zone)
KEYS = [kind for kind in VALUES if not kind.startswith(("STRUCT", "JSON", "ENUM")) and not kind.endswith("]")]


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_found_by_its_value_and_by_its_text(engine: Engine, shop: Shop, kind: str) -> None:
    columns = {"k": kind, "n": "BIGINT"}
    values = list(dict.fromkeys(VALUES[kind]))
    rows = bound(engine, columns, [(value, str(at)) for at, value in enumerate(values)])
    shop.serve(Shape(Side.V1, "v", columns, ("k",)), sorted(rows, key=lambda row: row[0]))
    reader = shop.side()
    for at, value in enumerate(values):
        own = python_of(engine, kind, value)
        text = (
            own.hex() if isinstance(own, bytes) else own.isoformat() if isinstance(own, dt.date | dt.time) else str(own)
        )
        for asked in (own, text, [own], (text,)):
            row = reader.get("v", asked)
            assert row is not None, asked
            assert row["n"] == at
            assert same(row["k"], own)
        assert [one["n"] for one in reader.many("v", {"k": own})] == [at]


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("BIGINT", "1.5"), ("BIGINT", 2**63), ("BIGINT", True), ("BIGINT", 1.0), ("BOOLEAN", 1), ("BOOLEAN", "yes"),
        ("DECIMAL(4,2)", 0.1), ("DECIMAL(4,2)", "x"), ("DOUBLE", float("nan")), ("DOUBLE", "x"), ("VARCHAR", 7),
        ("DATE", "2024-13-01"), ("DATE", 7), ("TIME", dt.time(1, tzinfo=dt.UTC)), ("BLOB", "xyz"),
        ("UUID", 5), ("VARCHAR", None), ("BIGINT", None), ("VARCHAR", "\ud800"), ("FLOAT", 1e300),
        ("JSON", "{"), ("JSON", {"a": 1}), ("JSON", 1),
    ],
)  # fmt: skip
def test_what_is_no_value_of_a_key_is_refused(engine: Engine, shop: Shop, kind: str, asked: object) -> None:
    rows = bound(engine, {"k": kind}, [(VALUES[kind][0],)])
    shop.serve(Shape(Side.V1, "v", {"k": kind}, ("k",)), rows)
    with pytest.raises(BadKey, match=r"^view v1\.v: .* is no value of 'k' .*; its key is k, so give 1 in that order$"):
        shop.side().get("v", asked)


@pytest.mark.parametrize(
    ("kind", "kept", "asked", "found"),
    [
        ("TIMESTAMP", "2024-01-01", dt.date(2024, 1, 1), True),
        ("TIMESTAMP", "2024-01-01 10:00", dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))), True),
        ("TIMESTAMP WITH TIME ZONE", "2024-01-01 00:00+00", NAIVE, True),
        ("DATE", "2024-01-01", NAIVE, True), ("DATE", "2024-01-01", NAIVE.replace(hour=1), False),
        ("BIGINT", "7", Decimal("7.0"), True), ("BIGINT", "7", Decimal("7.5"), False),
        ("VARCHAR", "00000000-0000-0000-0000-00000000000a", uuid.UUID(int=10), True),
        ("JSON", '{"a":1}', '{"a":1}', True), ("JSON", '"b"', '"b"', True), ("JSON", '{"a":1}', '{"a": 1}', False),
        ("BIGINT[]", "[2, 3]", "[2,3]", True), ("BIGINT[]", "[2, 3]", "[2, 3]", True),
        ("BIGINT[]", "[2, 3]", "[23]", False),
        ("VARCHAR[]", "[a  b, ä, ]", '[ "a  b" , "\\u00e4", "" ]', True),
        ("VARCHAR[]", "['x\"y']", '[ "x\\"y"]', True),
        ("STRUCT(a BIGINT, b VARCHAR)", "{a: -3, b: c d}", '{"a": -3, "b": "c d"}', True),
    ],
)  # fmt: skip
def test_a_key_may_be_what_the_other_side_has(
    engine: Engine, shop: Shop, kind: str, kept: str, asked: object, found: bool
) -> None:
    shop.serve(Shape(Side.V1, "v", {"k": kind}, ("k",)), bound(engine, {"k": kind}, [(literal(kept),)]))
    assert (shop.side().get("v", asked) is not None) == found


def test_pages_go_on_behind_keys_that_are_json(engine: Engine, shop: Shop) -> None:
    texts = ['"b"', "1", '{"a":1}', "[1,2]", '"a"', "null", "1.50"]
    shop.serve(
        Shape(Side.V1, "v", {"k": "JSON"}, ("k",)),
        bound(engine, {"k": "JSON"}, [(f"'{one}'",) for one in sorted(texts)]),
    )
    reader = shop.side()
    found, after = [], None
    while True:
        rows, after = reader.page("v", limit=2, after=after)
        found += [row["k"] for row in rows]
        if after is None:
            break
    assert found == [json.loads(one, parse_float=Decimal) for one in sorted(texts)]


def test_a_number_that_python_writes_nowhere_is_no_key(shop: Shop) -> None:
    shop.serve(Shape(Side.V1, "v", {"k": "BIGINT"}, ("k",)), [(1,)])
    with pytest.raises(BadKey, match=r"one of type int is no value of 'k' \(BIGINT\)"):
        shop.side().get("v", 10**5000)


def test_a_number_of_more_digits_is_the_key_of_no_row(engine: Engine, shop: Shop) -> None:
    shop.serve(Shape(Side.V1, "v", {"k": "DECIMAL(4,2)"}, ("k",)), bound(engine, {"k": "DECIMAL(4,2)"}, [("1.25",)]))
    assert shop.side().get("v", Decimal("1.250")) == {"k": Decimal("1.25")}
    assert shop.side().get("v", Decimal("1.251")) is None
    with pytest.raises(BadKey, match="is the key of no page"):
        shop.side().page("v", after=[["k DECIMAL(4,2)"], [Decimal("0.001")]])


ORDERS = Shape(
    Side.V1, "orders", {"author": "VARCHAR", "month": "DATE", "price": "DECIMAL(38,2)", "note": "VARCHAR"},
    ("author", "month", "price"), indexes=(("note", "month"),),
)  # fmt: skip


def orders(engine: Engine, rows: Sequence[tuple[str, str, str, str]]) -> list[tuple[Any, ...]]:
    given = [tuple(f"'{part}'" for part in row) for row in rows]
    return bound(engine, ORDERS.columns, given)


def test_a_part_of_a_key_or_an_index_gives_all_of_its_rows(engine: Engine, shop: Shop) -> None:
    rows = [
        ("ada", "2024-01-01", "1.50", "x"), ("ada", "2024-01-01", "123456789012345678.25", "y"),
        ("ada", "2024-02-01", "3", "x"), ("bob", "2024-01-01", "1.50", "x"),
    ]  # fmt: skip
    shop.serve(ORDERS, orders(engine, rows))
    reader = shop.side()

    def prices(where: Mapping[str, object]) -> list[Decimal]:
        return [row["price"] for row in reader.many("orders", where)]

    assert prices({"author": "ada"}) == [Decimal("1.50"), Decimal("123456789012345678.25"), Decimal("3.00")]
    assert prices({"month": dt.date(2024, 1, 1), "author": "ada"}) == [
        Decimal("1.50"),
        Decimal("123456789012345678.25"),
    ]
    assert prices({"note": "x"}) == [Decimal("1.50"), Decimal("3.00"), Decimal("1.50")]
    assert prices({"note": "x", "month": "2024-02-01"}) == [Decimal("3.00")]
    assert prices({"author": "eve"}) == []
    with pytest.raises(NotIndexed, match="cannot be asked by nothing"):
        reader.many("orders", {})
    for where in ({"month": "2024-01-01"}, {"price": 1}, {"nothing": 1}, {"author": "ada", "note": "x"}):
        with pytest.raises(NotIndexed, match=r"\(author, month, price\) or \(note, month\)"):
            reader.many("orders", where)
    with pytest.raises(TooManyRows, match="more than 2 rows; none was given"):
        reader.many("orders", {"author": "ada"}, limit=2)
    assert len(reader.many("orders", {"author": "ada"}, limit=3)) == 3
    with pytest.raises(BadKey, match="2 key values were given; its key is author, month, price, so give 3"):
        reader.get("orders", ["ada", "2024-01-01"])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.sets(
        st.tuples(
            st.sampled_from(["", "a", "A", "b", "é", "10", "9"]),
            st.dates(dt.date(1, 1, 1), dt.date(1, 1, 3)),
            st.sampled_from(["0", "-1.50", "9", "10", "123456789012345678.25", "-123456789012345678.25", "0.01"]),
        ),
        max_size=30,
    ),
    limit=st.integers(-1, 12),
    author=st.sampled_from([None, "a", "é"]),
)
def test_pages_have_each_row_once_in_one_order(
    rows: set[tuple[str, dt.date, str]], limit: int, author: str | None
) -> None:
    with TemporaryDirectory() as folder, open_engine(threads=1) as engine:
        shop = Shop(Path(folder))
        shop.serve(ORDERS, orders(engine, [(a, m.isoformat(), p, "n") for a, m, p in sorted(rows)]))
        reader, where = shop.side(), {"author": author} if author is not None else None
        found, after = [], None
        while True:
            page = reader.page("orders", where=where, after=after, limit=limit)
            assert len(page.rows) <= max(limit, 1)
            found += page.rows
            if (after := page.after) is None:
                break
            assert len(page.rows) == max(limit, 1)
        keys = [(row["author"], row["month"], row["price"]) for row in found]
        assert len(set(keys)) == len(keys)
        assert set(keys) == {(a, m, Decimal(p)) for a, m, p in rows if author in (None, a)}
        assert keys == [
            (r["author"], r["month"], r["price"]) for r in reader.page("orders", where=where, limit=99).rows
        ]
        reader.close()


COUNTS = Shape(Side.V1, "counts", {"who": "VARCHAR", "n": "BIGINT"}, ("who",))


def test_what_cannot_be_read_says_why(shop: Shop, tmp_path: Path) -> None:
    reader = shop.side()
    with pytest.raises(NoStore, match=r"views_v1\.db cannot be read: No such file"):
        reader.get("counts", "ada")
    shop.serve(COUNTS, [("ada", 1)])
    with pytest.raises(NotServed, match=r"view v1\.cuonts has no build in this store \(there are counts\)"):
        reader.get("cuonts", "ada")
    assert reader.get("counts", "ada") == {"who": "ada", "n": 1}
    with closing(sqlite3.connect(tmp_path / "views_v1.db")) as other:
        other.execute("UPDATE counts__b1 SET n = 'many'")
        other.execute("UPDATE _dualgauge_checkpoint SET columns = replace(columns, 'BIGINT', 'DATE')")
        other.execute("CREATE TABLE t (a)")  # another schema
        other.commit()
        with pytest.raises(Unreadable, match=r"view v1\.counts: a value of column n is no DATE"):
            reader.get("counts", "ada")
        other.execute("UPDATE _dualgauge_checkpoint SET columns = NULL")
        other.execute("DROP TABLE t")
        other.commit()
    with pytest.raises(NoTypes, match="made by an older dualgauge"):
        reader.get("counts", "ada")
    reader.close()
    with pytest.raises(ReaderClosed):
        reader.get("counts", "ada")
    (tmp_path / "views_v2.db").write_text("no database, however long this text is" * 100)
    with pytest.raises(NoStore, match="not a database"):
        shop.side(Side.V2).get("counts", "ada")


def test_a_file_that_is_made_anew_is_read_anew_and_one_that_is_gone_is_told(shop: Shop, tmp_path: Path) -> None:
    shop.serve(COUNTS, [("ada", 1)])
    reader = shop.side()
    assert reader.get("counts", "ada") == {"who": "ada", "n": 1}
    for file in tmp_path.glob("views_v1.db*"):
        file.unlink()
    with pytest.raises(NoStore):
        reader.get("counts", "ada")
    shutil.rmtree(tmp_path / "migrations")
    again = Shop(tmp_path)
    again.serve(COUNTS, [("ada", 2)])
    assert reader.get("counts", "ada") == {"who": "ada", "n": 2}


def test_a_file_that_is_replaced_while_threads_read_is_the_one_that_is_read(tmp_path: Path) -> None:
    """Under reads all the time: a connection to the file before it must not come back."""
    shops = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        shops.append(Shop(tmp_path / str(number)))
        shops[-1].serve(COUNTS, [(f"u{at:03}", number) for at in range(300)])
    current = tmp_path / "current.db"
    reader, over = SideReader(current, Side.V1), threading.Event()
    current.symlink_to(tmp_path / "0" / "views_v1.db")

    def busy() -> None:
        while not over.is_set():
            reader.page("counts", limit=300)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(busy) for _ in range(4)]
        try:
            for number in range(1, 31):
                (tmp_path / "next").symlink_to(tmp_path / str(number % 2) / "views_v1.db")
                (tmp_path / "next").replace(current)
                time.sleep(0.02)
                for _ in range(20):
                    assert reader.get("counts", "u007") == {"who": "u007", "n": number % 2}
        finally:
            over.set()
        for one in running:
            one.result()


def test_a_signal_s_handler_may_read_in_the_middle_of_a_read(shop: Shop) -> None:
    shop.serve(COUNTS, [("ada", 1)])
    reader, handled, goes_on = shop.side(), 0, True

    def handle(*_: object) -> None:
        nonlocal handled
        assert reader.get("counts", "ada") == {"who": "ada", "n": 1}
        handled += 1
        # Not by an interval: where a read takes longer, handlers would come within handlers without end.
        if goes_on:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        until = time.monotonic() + 60
        while handled < 100 and time.monotonic() < until:
            assert reader.get("counts", "ada") == {"who": "ada", "n": 1}
    finally:
        goes_on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled >= 100
    assert reader._out == 0


def test_a_read_waits_for_a_position(shop: Shop) -> None:
    shop.serve(COUNTS, [("ada", 1)], at=7)
    reader = shop.side()
    assert reader.position("counts") == 7
    assert reader.get("counts", "ada", at_least=7) == {"who": "ada", "n": 1}
    with pytest.raises(NotFresh, match="is at position 7, and position 8 was waited for"):
        reader.many("counts", {"who": "ada"}, at_least=8, timeout=0.05)
    writer = threading.Timer(0.2, lambda: shop.serve(COUNTS, [("ada", 2)], at=8))
    writer.start()
    assert reader.page("counts", at_least=8, timeout=30).rows == [{"who": "ada", "n": 2}]
    writer.join()


def test_a_file_that_is_locked_is_told_and_read_again_later(shop: Shop, tmp_path: Path) -> None:
    shop.serve(COUNTS, [("ada", 1)])
    reader = SideReader(tmp_path / "views_v1.db", Side.V1, patience=0.05)
    with closing(sqlite3.connect(tmp_path / "views_v1.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE counts__b1 SET n = 2")
        other.execute("COMMIT")
        with pytest.raises(StoreBusy, match=r"was locked for over 0\.05 seconds; nothing was read"):
            reader.get("counts", "ada")
    assert reader.get("counts", "ada") == {"who": "ada", "n": 2}


def test_threads_and_tasks_read_one_build_each_while_builds_are_swapped(shop: Shop) -> None:
    """Each row of a build has the build's number: a read that mixes two, or fails, is seen."""
    shop.serve(COUNTS, [(f"u{at}", 0) for at in range(50)])
    reader, over = shop.side(), threading.Event()

    def look() -> int:
        reads = 0
        while not over.is_set():
            rows = reader.page("counts", limit=50).rows
            assert (len(rows), len({row["n"] for row in rows})) == (50, 1)
            reads += 1
        return reads

    async def one() -> int:
        reads = 0
        while not over.is_set():
            assert reader.get("counts", "u7") is not None
            reads += 1
            await asyncio.sleep(0)
        return reads

    async def tasks() -> int:
        return min(await asyncio.gather(*(one() for _ in range(4))))

    with ThreadPoolExecutor(9) as pool:
        running = [*(pool.submit(look) for _ in range(8)), pool.submit(lambda: asyncio.run(tasks()))]
        try:
            for number in range(1, 11):
                shop.serve(COUNTS, [(f"u{at}", number) for at in range(50)], at=number)
        finally:
            over.set()
        assert all(each.result() for each in running)
    assert len(reader._idle) <= 8


def test_a_forked_process_and_its_parent_go_on_reading(shop: Shop) -> None:
    shop.serve(COUNTS, [("ada", 1)])
    reader, over = shop.side(), threading.Event()

    def busy() -> None:
        while not over.is_set():
            reader.get("counts", "ada")

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for one in threads:
        one.start()
    try:
        for _ in range(20):
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    code = 0 if reader.get("counts", "ada") == {"who": "ada", "n": 1} else 2
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        over.set()
        for one in threads:
            one.join()
    shop.serve(COUNTS, [("ada", 2)], at=2)
    assert reader.get("counts", "ada") == {"who": "ada", "n": 2}


MONTHS = Shape(Side.V2, "counts", {"who": "VARCHAR", "month": "BIGINT", "n": "BIGINT"}, ("who", "month"))


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    """All reads are on v2."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    move(url, 1_000_000, "live", "m")
    with Router(url, "m", refresh=60) as opened:
        yield opened


def test_a_v2_of_another_key_is_read_by_what_both_keys_begin_with(shop: Shop, router: Router, tmp_path: Path) -> None:
    shop.serve(COUNTS, [("ada", 3)])
    shop.serve(MONTHS, [("ada", 1, 1), ("ada", 2, 2), ("bob", 1, 9)])
    with router.reader(shop.url) as reader:
        months = [{"who": "ada", "month": month, "n": month} for month in (1, 2)]
        assert reader.many("counts", {"who": "ada"}, unit="ada") == months
        first = reader.page("counts", where={"who": "ada"}, limit=1, unit="ada")
        assert first == (months[:1], (("who VARCHAR", "month BIGINT"), ("ada", 1)))
        assert reader.page("counts", where={"who": "ada"}, after=first.after, limit=1, unit="ada") == (months[1:], None)
        # As JSON has it.
        again = json.loads(json.dumps(first.after))
        assert reader.page("counts", where={"who": "ada"}, after=again, unit="ada") == (months[1:], None)
        assert reader.get("counts", ["ada", 2], unit="ada") == months[1]
        # Which is no key of v2: v1 answers, and that is counted.
        assert reader.get("counts", "ada", unit="ada") == {"who": "ada", "n": 3}
        assert router.counts() == {"counts": {"v2": 5, "v2_error": 1}}
        move(f"sqlite:///{tmp_path / 'ledger.db'}", 0, "shadow", "m")
        router.refresh()
        assert reader.many("counts", {"who": "ada"}, unit="ada") == [{"who": "ada", "n": 3}]
        # v1 knows no key of two parts: no page of it is behind one.
        with pytest.raises(OtherKey, match=r"read by another key than who VARCHAR, .* read the pages anew"):
            reader.page("counts", after=first.after, unit="ada")
    with pytest.raises(ReaderClosed):
        reader.get("counts", "ada", unit="ada")


def test_a_router_that_is_closed_has_its_readers_hold_no_file(shop: Shop, router: Router, tmp_path: Path) -> None:
    def held() -> int:
        links = [one.readlink() for one in Path("/proc/self/fd").iterdir() if one.exists()]
        return sum(one.parent == tmp_path and one.name.startswith("views_") for one in links)

    shop.serve(COUNTS, [("ada", 3)])
    shop.serve(replace(COUNTS, side=Side.V2), [("ada", 3)])
    readers = [router.reader(shop.url) for _ in range(3)]
    assert [one.get("counts", "ada", unit="ada") for one in readers] == [{"who": "ada", "n": 3}] * 3
    before = held()
    router.close()
    assert (before > 0, held()) == (True, 0)
    # Reads go on, by the last state.
    assert readers[0].get("counts", "ada", unit="ada") == {"who": "ada", "n": 3}
    assert held() == 0


@pytest.mark.parametrize(("behind", "outcome"), [(4, "lag"), (5, "mismatched")])
def test_readers_that_differ_are_a_mismatch_at_one_position_alone(
    shop: Shop, router: Router, behind: int, outcome: str
) -> None:
    """v2 stands at the position that its build has, behind v1's or at it; every kind of read is compared so."""
    shop.serve(COUNTS, [("ada", 3)], at=5)
    shop.serve(replace(COUNTS, side=Side.V2), [("ada", 2)], at=behind)
    rules = {"key": ["who"], "rules": {}, "expects": False}
    routed(router, "canary", 500_000, canary({"counts": rules}))
    with router.reader(shop.url) as reader:
        reader.get("counts", "ada", unit="ada")
        reader.many("counts", {"who": "ada"}, unit="ada")
        reader.page("counts", unit="ada")
        settled(router, 3, "counts")
        assert router.shadow_counts() == {"counts": {outcome: 3}}


@pytest.mark.parametrize(
    ("kind", "stored", "spellings"),
    [
        ("BIGINT", 1, [1, "1", "01", " 1", "+1", Decimal("1.0")]), ("VARCHAR", "k1", ["k1", ["k1"], ("k1",)]),
        ("DECIMAL(9,2)", "1.5", [Decimal("1.5"), Decimal("1.50"), "1.5", "01.500", "1.50"]),
        ("DATE", "2026-03-01", ["2026-03-01", "20260301", dt.date(2026, 3, 1), dt.datetime(2026, 3, 1)]),  # noqa: DTZ001
        (
            "TIMESTAMP WITH TIME ZONE", "2026-03-01 12:00:00.000000",
            ["2026-03-01T12:00:00Z", "2026-03-01 13:00+01:00", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)],
        ),
        (
            "UUID", "0f8fad5b-d9cb-469f-a165-70867728950e",
            ["0f8fad5b-d9cb-469f-a165-70867728950e", "{0F8FAD5B-D9CB-469F-A165-70867728950E}",
             uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")],
        ),
    ],
)  # fmt: skip
def test_a_key_is_one_read_however_it_is_written(shop: Shop, kind: str, stored: object, spellings: list[Any]) -> None:
    shop.serve(Shape(Side.V1, "kept", {"k": kind, "n": "BIGINT"}, ("k",)), [(stored, 3)])
    side = shop.side()
    values = [one for one in spellings if not isinstance(one, list | tuple)]
    asked = [
        [side.spelt("kept", one) for one in spellings], [side.spelt("kept", where={"k": one}) for one in values],
        [side.spelt("kept", where={}, after=[[f"k {kind}"], [one]]) for one in values], [side.spelt("kept", where={})],
    ]  # fmt: skip
    assert [len({hash_of("kept", [one]) for one in of}) for of in asked] == [1, 1, 1, 1]
    assert len({hash_of("kept", [of[0]]) for of in asked}) == 4
    assert [side.get("kept", one) for one in spellings] == [side.get("kept", spellings[0])] * len(spellings)
    assert side.get("kept", spellings[0]) is not None


def test_a_client_that_writes_one_key_in_many_ways_makes_no_more_evidence(tmp_path: Path, shop: Shop) -> None:
    shop.serve(replace(COUNTS, columns={"who": "BIGINT", "n": "BIGINT"}), [(1, 3)])
    shop.serve(replace(COUNTS, side=Side.V2, columns={"who": "BIGINT", "n": "BIGINT"}), [(1, 3)])
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    rules = {"views": {"counts": {"key": ["who"], "rules": {}, "expects": False}}}
    route(url, "shadow", 0, SAID | rules)
    count_for(url, {"counts": {"v1": 1, "v2": 1}})
    with Router(url, "m", refresh=60) as router, router.reader(shop.url) as reader:
        for at in range(20):
            assert reader.get("counts", "0" * at + "1", unit=at) == {"who": 1, "n": 3}
        settled(router, 20, "counts")
        assert router.refresh()
    assert [(one.reads, one.ever_bad) for one in now(url).judged] == [(1, 0)]


def test_a_v2_that_is_not_there_takes_no_answer_of_v1_with_it(shop: Shop, router: Router) -> None:
    shop.serve(COUNTS, [("ada", 3)])
    reader = router.reader(shop.url)
    assert reader.get("counts", "ada", unit="ada", timeout=5) == {"who": "ada", "n": 3}
    assert router.counts() == {"counts": {"v2_error": 1}}
    # An application whose v1 is its own.
    shop.serve(MONTHS, [("ada", 1, 1)])

    def v1(who: str) -> dict[str, object]:
        return {"who": who}

    def v2(who: str) -> dict[str, object] | None:
        return reader.v2.get("counts", [who, 1])

    found = router.read("counts", unit="ada", v1=v1, v2=v2, args=("ada",))
    assert found == {"who": "ada", "month": 1, "n": 1}


def test_a_store_s_url_is_checked_and_its_path_may_be_relative(
    shop: Shop, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadStore, match=r"this version reads SQLite, and not postgresql"):
        router.reader("postgresql://app:secret@db/shop")
    with pytest.raises(BadStore, match=r"there is no \{side\} in it"):
        router.reader("sqlite:///views.db")
    shop.serve(COUNTS, [("ada", 3)])
    monkeypatch.chdir(shop.folder)
    reader = router.reader("sqlite:///views_{side}.db")
    monkeypatch.chdir("/")
    assert reader.v1.get("counts", "ada") == {"who": "ada", "n": 3}
