"""`dualgauge log add URL#table`: a source proposed from a table of a database, and imported as it is proposed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import dualgauge
from support.shop import Said, call

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = "pyproject.toml"
MINIMAL = '[tool.dualgauge]\nmigration = "m"\n'
ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, placed_at DATETIME, city TEXT, cents INTEGER)"
TWO = "INSERT INTO orders (placed_at, city, cents) VALUES ('2026-01-05 10:00:00', 'Ulm', 500), ('2026-01-06', '007', 9)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / SETTINGS).write_text(MINIMAL, encoding="utf-8")
    return tmp_path


def lite(root: Path, *statements: str) -> None:
    with closing(sqlite3.connect(root / "shop.db")) as connection:
        for one in statements:
            connection.execute(one)
        connection.commit()


def proposed(root: Path, table: str) -> dict[str, Any]:
    said = call("log", "add", table, "--format", "json", folder=root)
    assert said.exit_code == 0, said.out
    result: dict[str, Any] = said.json["result"]
    return result


def refused(root: Path, table: str) -> Said:
    said = call("log", "add", table, "--write", folder=root)
    assert said.out == ""
    assert (root / SETTINGS).read_text() == MINIMAL
    return said


def taken(root: Path, table: str) -> list[dict[str, Any]]:
    said = call("log", "add", table, "--write", folder=root)
    assert (said.exit_code, said.err) == (0, "")
    said = call("log", "import", "--all", folder=root)
    assert (said.exit_code, said.err) == (0, "")
    return dualgauge.open(root).log.show(1, limit=100_000).events


@pytest.mark.parametrize("table", ["sqlite:///shop.db#orders", "sqlite:///shop.db", "shop.db#orders", "shop.db"])
def test_a_table_of_sqlite_is_imported_as_it_is_proposed_and_read_on(table: str, root: Path) -> None:
    lite(root, ORDERS, TWO)

    events = taken(root, table)

    assert [(one["event_id"], one["type"], one["id"], one["city"], one["cents"]) for one in events] == [
        ("orders/1", "orders", 1, "Ulm", 500),
        ("orders/2", "orders", 2, "007", 9),
    ]
    (source,) = dualgauge.open(root).settings.sources
    assert (source.url, source.table, source.cursor) == ("sqlite:///shop.db", "orders", "id")
    lite(root, "INSERT INTO orders VALUES (3, '2026-01-07', 'Bern', 1)")
    assert "added 1 event" in call("log", "import", "--all", folder=root).out


def test_the_reasons_name_the_table_and_the_cursor(root: Path) -> None:
    lite(root, ORDERS, TWO)

    found = proposed(root, "sqlite:///shop.db#orders")

    assert found["why"]["cursor"] == (
        "id: the primary key, whole numbers; a row that is written again, or comes in below the highest one, "
        "is not seen"
    )
    assert "# sqlite:///shop.db#orders: 2 rows, all of them looked at" in found["toml"]["source"]
    assert list(found["source"]) == ["name", "url", "table", "cursor", "event_id", "type", "occurred_at"]
    assert {one["name"]: one["type"] for one in found["columns"]} == {
        "id": "BIGINT",
        "city": "VARCHAR",
        "cents": "BIGINT",
    }


def test_a_path_from_a_folder_below_is_written_from_the_project(root: Path) -> None:
    lite(root, ORDERS, TWO)
    below = root / "views_v1"
    below.mkdir()

    for table in ("sqlite:///../shop.db#orders", "../shop.db#orders"):
        said = call("log", "add", table, "--format", "json", folder=below)
        assert said.json["result"]["source"]["url"] == "sqlite:///shop.db"


def test_a_column_that_grows_is_the_cursor_where_the_primary_key_is_none(root: Path) -> None:
    lite(
        root,
        "CREATE TABLE lines (order_id TEXT, line INTEGER, at DATETIME, seq INTEGER, PRIMARY KEY (order_id, line))",
        "INSERT INTO lines VALUES ('b', 1, '2026-01-01', 10), ('a', 1, '2026-01-01', 11), ('a', 2, '2026-01-02', 15)",
    )

    source = proposed(root, "shop.db#lines")["source"]

    assert source["cursor"] == "seq"
    assert source["event_id"] == "'lines/' || order_id || '/' || line"


@pytest.mark.parametrize(
    ("statements", "table", "reason"),
    [
        ([ORDERS], "shop.db#orders", "sqlite:///shop.db#orders: it holds no row, and a source is proposed from"),
        ([ORDERS, TWO], "shop.db#order", "shop.db has no table 'order' (did you mean 'orders'?)"),
        (
            [ORDERS, "CREATE TABLE other (x)"],
            "shop.db",
            "sqlite:///shop.db: which table is to be a source is not said, and it has orders, other; name one, as",
        ),
        (
            ["CREATE TABLE t (at DATETIME, n INTEGER)", "INSERT INTO t VALUES ('2026-01-01', 2), ('2026-01-01', 1)"],
            "shop.db#t",
            "sqlite:///shop.db#t: no column tells which rows are new: none is a primary key of one whole number, or a",
        ),
        (
            ["CREATE TABLE t (at DATETIME, n INTEGER)", "INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-01', 1)"],
            "shop.db#t",
            "sqlite:///shop.db#t: nothing identifies a row of it, and an event has an id (1 row repeats an earlier one",
        ),
        (
            ["CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)"],
            "shop.db#t",
            "sqlite:///shop.db#t: no column reads as a time for its rows (the columns are id)",
        ),
        (
            [],
            "postgresql://me:Zebra@h/d#t",
            "the URL has a password in it, and the settings would keep it; nothing was",
        ),
        ([], "postgresql://me@h/d?password=Zebra#t", "the URL has a password in it, and the settings would keep it"),
        ([], "postgresql://me:${NO_SUCH_ONE}@h/d#t", "the url of log add names the environment variable NO_SUCH_ONE"),
        ([], "no.db#t", "no.db"),
    ],
)
def test_a_table_that_is_no_source_is_refused_by_name(
    statements: list[str], table: str, reason: str, root: Path
) -> None:
    if statements:
        lite(root, *statements)

    said = refused(root, table)

    assert said.exit_code in (2, 4)
    assert reason in said.err
    assert "Zebra" not in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_a_table_that_is_a_source_already_is_a_conflict(root: Path) -> None:
    lite(root, ORDERS, TWO)
    taken(root, "shop.db#orders")

    said = call("log", "add", "sqlite:///shop.db#orders", "--name", "again", folder=root)

    assert said.exit_code == 5
    assert said.err.startswith("error: source 'orders' reads sqlite:///shop.db#orders already; nothing was written")


def test_a_table_of_postgresql_keeps_every_digit(
    root: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True)) as connection:
        connection.execute(
            "CREATE TABLE payments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, paid_at timestamptz NOT NULL, "
            "amount numeric(12,2), rate numeric, code text, kind uuid)"
        )
        connection.execute(
            "INSERT INTO payments (paid_at, amount, rate, code) VALUES "
            "('2026-01-01 10:00:00+01', 12.50, 9007199254740993.1, '1E5'), ('2026-01-02', 3, 0.5, '007')"
        )
    monkeypatch.setenv("SHOP_URL", postgres_url)

    events = taken(root, "${SHOP_URL}#payments")

    (source,) = dualgauge.open(root).settings.sources
    assert (source.url, source.table, source.cursor) == ("${SHOP_URL}", "payments", "id")
    types = dualgauge.open(root).settings.log.columns
    assert types == {"id": "BIGINT", "amount": "DECIMAL(12,2)", "rate": "DECIMAL(38,1)", "code": "VARCHAR"}
    assert [(one["event_id"], str(one["amount"]), str(one["rate"]), one["code"]) for one in events] == [
        ("payments/1", "12.50", "9007199254740993.1", "1E5"),
        ("payments/2", "3.00", "0.5", "007"),
    ]
    assert f"{events[0]['occurred_at']:%Y-%m-%dT%H:%M}" == "2026-01-01T09:00"
