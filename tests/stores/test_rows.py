"""New rows of somebody else's table, told by a column that grows: none is lost, whoever commits when."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.stores.errors import (
    NoCursorColumn,
    NoTable,
    NullCursor,
    TablesRefused,
    UnfitCursor,
    UnfitValue,
    UnreadableValue,
)
from dualgauge.stores.external.other import OtherCatalogue
from dualgauge.stores.external.rows import Chosen, new_rows
from dualgauge.stores.external.running import Noted, Running
from dualgauge.stores.external.tables import TableSnapshot, open_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.pg_cluster import Cluster

State = dict[str, Any]
Rows = list[dict[str, Any]]


class Source:
    """A table or a query that is read again and again, as an import does it: the state is kept as JSON."""

    def __init__(self, url: str, chosen: Chosen, root: Path) -> None:
        self.url, self.chosen, self.root = url, chosen, root
        self.state: State | None = None
        self.columns: dict[str, str] = {}

    def read(self, settle: float = 0, size: int = 2) -> Rows:
        """The rows that are read now."""
        with new_rows(self.url, self.chosen, root=self.root, state=self.state, settle=settle) as found:
            rows = [row for batch in found.reader(size) for row in batch.to_pylist()]
            self.columns, self.state = found.columns, json.loads(json.dumps(found.state))
        return rows

    def ids(self, settle: float = 0) -> list[Any]:
        """The cursor's values of the rows that are read now, sorted."""
        return sorted(row[self.chosen.cursor] for row in self.read(settle))


def lite(folder: Path, *statements: str, cursor: str = "id", table: str = "", statement: str = "") -> Source:
    """Run statements on a SQLite file, and give a source of it: `t` unless told otherwise."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        for one in statements:
            connection.execute(one)
        connection.commit()
    table = table or ("" if statement else "t")
    return Source("sqlite:///shop.db", Chosen(cursor, table, statement), folder)


def server(
    url: str, folder: Path, *statements: str, cursor: str = "id", table: str = "", statement: str = ""
) -> Source:
    """Run statements on a PostgreSQL database, each committed, and give a source of it."""
    with connected(url, autocommit=True) as connection:
        for one in statements:
            connection.execute(one.encode())
    table = table or ("" if statement else "t")
    return Source(url, Chosen(cursor, table, statement), folder)


@contextmanager
def connected(url: str, **options: Any) -> Iterator[psycopg.Connection]:
    """A connection of an application."""
    with closing(psycopg.connect(url.replace("+psycopg", ""), **options)) as connection:
        yield connection


def text_of(value: object) -> str:
    """A state's value, without its type."""
    assert isinstance(value, dict)
    return str(value["value"])


# SQLite.


def test_new_rows_are_those_from_the_highest_value_on_that_value_included(tmp_path: Path) -> None:
    source = lite(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)", "INSERT INTO t VALUES (1,'a'),(2,'b')")

    assert source.ids() == [1, 2]
    assert source.state == {"from": {"type": "integer", "value": "2"}}
    lite(tmp_path, "INSERT INTO t VALUES (3, 'c')")
    assert source.read() == [{"id": 2, "x": "b"}, {"id": 3, "x": "c"}]
    assert source.ids() == [3]


def test_rows_of_one_time_are_not_lost_where_one_of_them_comes_later(tmp_path: Path) -> None:
    source = lite(
        tmp_path, "CREATE TABLE t (id INT, at TEXT)", "INSERT INTO t VALUES (1, '2024-01-01 10:00')", cursor="at"
    )

    assert [row["id"] for row in source.read()] == [1]
    lite(tmp_path, "INSERT INTO t VALUES (2, '2024-01-01 10:00')")
    assert [row["id"] for row in source.read()] == [1, 2]


def test_an_empty_table_leaves_no_state_and_an_emptied_one_keeps_it(tmp_path: Path) -> None:
    source = lite(tmp_path, "CREATE TABLE t (id INTEGER)")

    assert source.ids() == []
    assert source.state == {}
    assert source.columns == {"id": "BIGINT"}
    lite(tmp_path, "INSERT INTO t VALUES (7)")
    assert source.ids() == [7]
    lite(tmp_path, "DELETE FROM t")
    assert source.ids() == []
    assert source.state == {"from": {"type": "integer", "value": "7"}}


@pytest.mark.parametrize(
    ("declared", "first", "second", "kept"),
    [
        ("INTEGER", 2**53 + 1, 2**53 + 2, {"type": "integer", "value": "9007199254740993"}),
        ("TEXT", "it's 9%", "it's 9%?", {"type": "text", "value": "it's 9%"}),
        ("TEXT", "10", "9", {"type": "text", "value": "10"}),
        ("REAL", 0.1, 0.1 + 2**-50, {"type": "float", "value": "0.1"}),
        ("BLOB", b"\x00\x01", b"\x00\x02", {"type": "bytes", "value": "0001"}),
        ("", 5, 7, {"type": "integer", "value": "5"}),
        ("DATETIME", "2024-01-01 10:00", "2024-01-01 10:01", {"type": "text", "value": "2024-01-01 10:00"}),
    ],
)
def test_a_cursor_of_any_sqlite_type_is_asked_for_by_its_exact_value(
    tmp_path: Path, declared: str, first: object, second: object, kept: State
) -> None:
    source = lite(tmp_path, f"CREATE TABLE t (n INT, c {declared})", cursor="c")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("INSERT INTO t VALUES (1, ?)", (first,))
        connection.commit()
        assert [row["n"] for row in source.read()] == [1]
        assert source.state == {"from": kept}
        connection.execute("INSERT INTO t VALUES (2, ?)", (second,))
        connection.commit()

    assert [row["n"] for row in source.read()] == [1, 2]
    assert [row["n"] for row in source.read()] == [2]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12), st.data())
def test_whatever_is_added_in_order_is_read_and_only_the_highest_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source, left, known = lite(folder, "CREATE TABLE t (id INTEGER)"), sorted(numbers), list[int]()
    while left:
        upto = data.draw(st.integers(1, len(left)))
        with closing(sqlite3.connect(folder / "shop.db")) as connection:
            connection.executemany("INSERT INTO t VALUES (?)", [(one,) for one in left[:upto]])
            connection.commit()
        again = [one for one in known if one == known[-1]]

        assert source.ids() == [*again, *left[:upto]]
        known, left = [*known, *left[:upto]], left[upto:]


def test_types_are_the_declared_ones_whatever_rows_there_are(tmp_path: Path) -> None:
    source = lite(
        tmp_path,
        "CREATE TABLE t (id INTEGER, p DECIMAL(9,2), n NUMERIC, r REAL, b BLOB, f BOOLEAN, s VARCHAR(9), at DATETIME,"
        " day DATE, j JSON, x)",
    )
    kinds = {
        "id": "BIGINT", "p": "DECIMAL(9,2)", "n": "VARCHAR", "r": "DOUBLE", "b": "BLOB", "f": "BOOLEAN",
        "s": "VARCHAR", "at": "VARCHAR", "day": "VARCHAR", "j": "VARCHAR", "x": "VARCHAR",
    }  # fmt: skip

    assert source.read() == []
    assert source.columns == kinds
    lite(
        tmp_path,
        "INSERT INTO t VALUES (1, 2.5, 2.5, 2, x'00', 1, 7, '2024-01-01 10:00:00', '2024-01-01', '{}', 1.5)",
        "INSERT INTO t VALUES (2, 3, 3, 0.5, NULL, 0, '007', 1700000000, NULL, NULL, 'x')",
    )
    assert source.read() == [
        {"id": 1, "p": Decimal("2.50"), "n": "2.5", "r": 2.0, "b": b"\0", "f": True, "s": "7",
         "at": "2024-01-01 10:00:00", "day": "2024-01-01", "j": "{}", "x": "1.5"},
        {"id": 2, "p": Decimal("3.00"), "n": "3", "r": 0.5, "b": None, "f": False, "s": "007",
         "at": "1700000000", "day": None, "j": None, "x": "x"},
    ]  # fmt: skip
    assert source.columns == kinds


@pytest.mark.parametrize(
    ("declared", "value", "shown", "kind"),
    [
        ("INTEGER", 2.5, "2.5", "BIGINT"),
        ("INTEGER", "", "''", "BIGINT"),
        ("REAL", "nan", "'nan'", "DOUBLE"),
        ("BOOLEAN", 2, "2", "BOOLEAN"),
        ("DECIMAL(9,2)", 0.1 + 0.2, "0.30000000000000004", "DECIMAL(9,2)"),
        ("BLOB", "x" * 80, f"'{'x' * 59}...", "BLOB"),
    ],
)
def test_a_value_of_another_type_than_the_declared_one_is_named(
    tmp_path: Path, declared: str, value: object, shown: str, kind: str
) -> None:
    source = lite(tmp_path, f"CREATE TABLE t (id INTEGER, c {declared})", "INSERT INTO t VALUES (1, NULL)")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("INSERT INTO t VALUES (2, ?)", (value,))
        connection.commit()

    with pytest.raises(UnfitValue) as told:
        source.read()

    assert str(told.value) == (
        f"{tmp_path / 'shop.db'}: column 'c' holds {shown}, which is no {kind}; correct that row in its application, "
        "or give a statement that makes a text of the column"
    )


def test_a_statement_is_a_query_of_its_own_whose_plain_columns_keep_their_types(tmp_path: Path) -> None:
    source = lite(
        tmp_path,
        "CREATE TABLE t (id INTEGER, c BOOLEAN)",
        "INSERT INTO t VALUES (1, 1), (2, 0), (3, 1)",
        statement="WITH u AS (SELECT * FROM t)\nSELECT id, c, id || ':12 %s ?' AS x FROM u WHERE c -- only those;\n;\n",
    )

    assert source.read() == [{"id": 1, "c": True, "x": "1:12 %s ?"}, {"id": 3, "c": True, "x": "3:12 %s ?"}]
    assert source.columns == {"id": "BIGINT", "c": "BOOLEAN", "x": "VARCHAR"}
    lite(tmp_path, "INSERT INTO t VALUES (4, 1)")
    assert source.ids() == [3, 4]


@pytest.mark.parametrize("statement", ["DELETE FROM t", "DELETE FROM t RETURNING id", "SELECT id FROM t; DROP TABLE t"])
def test_a_statement_that_writes_is_refused_by_sqlite_and_nothing_is_written(tmp_path: Path, statement: str) -> None:
    source = lite(tmp_path, "CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)", statement=statement)

    with pytest.raises(TablesRefused, match="it is only read: give one SELECT that it can answer"):
        source.read()
    assert lite(tmp_path).ids() == [1]


def test_reading_leaves_nothing_in_the_database(tmp_path: Path) -> None:
    source = lite(tmp_path, "CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)", statement="SELECT id FROM t")
    before = (tmp_path / "shop.db").read_bytes()
    source.read()

    assert (tmp_path / "shop.db").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["shop.db"]


def test_a_row_without_a_cursor_s_value_is_told_whenever_it_comes(tmp_path: Path) -> None:
    source = lite(tmp_path, "CREATE TABLE t (id INTEGER, at TEXT)", "INSERT INTO t VALUES (1, 'a')", cursor="at")
    source.read()
    lite(tmp_path, "INSERT INTO t VALUES (2, NULL)")

    with pytest.raises(NullCursor) as told:
        source.read()

    assert str(told.value) == (
        "table t has a row whose cursor column 'at' is NULL, so nobody can tell when it is new; fill the column, name "
        "another one, or leave such rows out by a statement with a WHERE"
    )


def test_a_cursor_or_table_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    source = lite(tmp_path, "CREATE TABLE orders (order_id INTEGER, x TEXT)", table="orders", cursor="orderid")

    with pytest.raises(NoCursorColumn) as told:
        source.read()
    assert str(told.value) == (
        "table orders has no column 'orderid' (did you mean 'order_id'?), which its cursor names; it has order_id, x; "
        "name a column that grows"
    )
    with pytest.raises(NoCursorColumn, match=r"^the statement has no column 'id'"):
        lite(tmp_path, statement="SELECT x FROM orders").read()
    with pytest.raises(NoTable, match=r"has no table 'order' \(did you mean 'orders'\?\)"):
        lite(tmp_path, table="order").read()


def test_a_cursor_is_found_whatever_its_case(tmp_path: Path) -> None:
    source = lite(tmp_path, "CREATE TABLE t (Id INTEGER)", "INSERT INTO t VALUES (1)")

    assert source.read() == [{"Id": 1}]
    assert source.state == {"from": {"type": "integer", "value": "1"}}


def test_a_sample_counts_no_row_as_read(tmp_path: Path, postgres_url: str) -> None:
    make = ("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1), (2), (3)")
    for source in (lite(tmp_path, *make), server(postgres_url, tmp_path, *make)):
        with new_rows(source.url, source.chosen, root=tmp_path, sample=True) as found:
            assert found.reader(2).read_next_batch().num_rows == 2
            assert found.state == {}


ODD = 'my; "tablé" 😀 %s ? :x {0} .b'


def test_odd_names_and_texts_are_read_on_both(tmp_path: Path, postgres_url: str) -> None:
    quoted = '"' + ODD.replace('"', '""') + '"'
    make = (f"CREATE TABLE {quoted} ({quoted} TEXT)", f"INSERT INTO {quoted} VALUES ('{ODD}')")
    for source in (
        lite(tmp_path, *make, table=ODD, cursor=ODD),
        lite(tmp_path, statement=f"SELECT * FROM {quoted} WHERE {quoted} <> ':y %s'", cursor=ODD),
        server(postgres_url, tmp_path, *make, table=ODD, cursor=ODD),
        server(postgres_url, tmp_path, statement=f"SELECT * FROM {quoted} WHERE {quoted} <> ':y %s'", cursor=ODD),
    ):
        assert source.read() == [{ODD: ODD}]
        assert source.read() == [{ODD: ODD}]


# Other databases: SQLAlchemy's reflection, here of a SQLite file.


def test_another_kind_of_database_has_reflected_types_and_a_query_s_columns_are_texts(tmp_path: Path) -> None:
    lite(tmp_path, "CREATE TABLE t (id INTEGER, p DECIMAL(9,2))", "INSERT INTO t VALUES (1, 2.5)")

    with open_tables("sqlite:///shop.db", root=tmp_path) as tables, tables.snapshot() as plain:
        snapshot = TableSnapshot(tables, plain._connection, OtherCatalogue())
        for table, statement, row in (
            ("t", "", {"id": 1, "p": Decimal("2.50")}),
            ("", "SELECT id, p, '1:2' AS c FROM t;", {"id": "1", "p": "2.5", "c": "1:2"}),
        ):
            source, columns = snapshot.relation(table, statement)
            (batch,) = snapshot.taken(columns, source, 10)
            assert batch.to_pylist() == [row]
            column, cast = snapshot.cursor(source, "id")
            assert cast is None
            assert snapshot.scalar(f"SELECT max({column}) FROM {source} WHERE {column} >= \0", [1]) == 1


# PostgreSQL: who commits when.

ORDERS = "CREATE TABLE t (id bigint PRIMARY KEY, x text)"


def test_a_row_whose_transaction_commits_after_a_later_one_is_read(tmp_path: Path, postgres_url: str) -> None:
    source = server(postgres_url, tmp_path, ORDERS, "INSERT INTO t VALUES (4)")
    assert source.ids() == [4]
    with connected(postgres_url) as a:
        a.execute("INSERT INTO t VALUES (5)")
        server(postgres_url, tmp_path, "INSERT INTO t VALUES (6)")

        assert source.ids() == [4, 6]
        assert source.ids() == [4, 6]
        a.commit()

    assert source.ids() == [4, 5, 6]
    assert source.ids() == [6]


def test_it_is_read_also_where_the_later_one_began_first(tmp_path: Path, postgres_url: str) -> None:
    source = server(postgres_url, tmp_path, ORDERS, "INSERT INTO t VALUES (4)")
    assert source.ids() == [4]
    with connected(postgres_url) as a, connected(postgres_url) as b:
        (older,) = b.execute("SELECT pg_current_xact_id()::text::int8").fetchone() or (0,)
        (younger,) = a.execute("SELECT pg_current_xact_id()::text::int8").fetchone() or (0,)
        assert older < younger
        a.execute("INSERT INTO t VALUES (5)")
        b.execute("INSERT INTO t VALUES (6)")
        b.commit()

        assert source.ids() == [4, 6]
        a.commit()

    assert source.ids() == [4, 5, 6]
    assert source.ids() == [6]


def test_it_is_read_also_where_it_had_not_written_before_the_later_one_was_read(
    tmp_path: Path, postgres_url: str
) -> None:
    source = server(
        postgres_url, tmp_path, "CREATE TABLE t (id int, at timestamptz DEFAULT now())",
        "INSERT INTO t VALUES (1)", cursor="at",
    )  # fmt: skip

    def ids() -> list[int]:
        return sorted(row["id"] for row in source.read())

    assert ids() == [1]
    with connected(postgres_url) as a:
        # The time of its beginning, and no xid yet.
        a.execute("SELECT now()")
        server(postgres_url, tmp_path, "INSERT INTO t VALUES (6)")
        assert ids() == [1, 6]
        a.execute("INSERT INTO t VALUES (5)")
        assert ids() == [1, 6]
        a.commit()

    assert ids() == [1, 5, 6]
    assert ids() == [6]


def test_it_is_read_also_where_it_is_committed_in_two_phases(tmp_path: Path) -> None:
    from support.pg_cluster import Cluster

    with Cluster(max_prepared_transactions="2") as cluster:
        url = cluster.new_database()
        source = server(
            url, tmp_path, "CREATE TABLE t (id int, at timestamptz DEFAULT now())", "INSERT INTO t VALUES (1)",
            cursor="at",
        )  # fmt: skip
        source.read()
        with connected(url) as a:
            a.execute("SELECT now()")
            server(url, tmp_path, "INSERT INTO t VALUES (6)")
            source.read()
            a.execute("INSERT INTO t VALUES (5)")
            a.execute("PREPARE TRANSACTION 'a'")
        assert sorted(row["id"] for row in source.read()) == [1, 6]
        assert sorted(row["id"] for row in source.read()) == [1, 6]
        server(url, tmp_path, "COMMIT PREPARED 'a'")

        assert sorted(row["id"] for row in source.read()) == [1, 5, 6]
        assert sorted(row["id"] for row in source.read()) == [6]


def test_the_beginning_moves_on_though_some_transaction_always_runs(tmp_path: Path, postgres_url: str) -> None:
    source = server(postgres_url, tmp_path, ORDERS, "INSERT INTO t VALUES (1)")
    with connected(postgres_url) as first:
        first.execute("INSERT INTO t VALUES (0)")
        source.read()
        with connected(postgres_url) as second:
            second.execute("SELECT 1 FROM t")
            server(postgres_url, tmp_path, "INSERT INTO t VALUES (2)")
            assert source.ids() == [1, 2]
            first.rollback()
            source.read()

            assert text_of(source.state and source.state["from"]) == "1"
            assert text_of(source.state and source.state["seen"]) == "2"
            assert source.ids() == [1, 2]


def test_transactions_of_other_databases_are_not_waited_for_by_their_virtual_number(
    tmp_path: Path, postgres: Cluster, postgres_url: str
) -> None:
    source = server(postgres_url, tmp_path, ORDERS, "INSERT INTO t VALUES (1)")
    other = postgres.new_database()
    with connected(other) as elsewhere:
        elsewhere.execute("SELECT now()")
        source.read()
    postgres.drop_database(other)

    assert source.state == {"from": {"type": "bigint", "value": "1"}}


def test_a_transaction_that_ends_soon_is_waited_for(tmp_path: Path, postgres_url: str) -> None:
    from threading import Timer

    source = server(postgres_url, tmp_path, ORDERS, "INSERT INTO t VALUES (6)")
    with connected(postgres_url) as a:
        a.execute("INSERT INTO t VALUES (5)")
        soon = Timer(0.1, a.commit)
        soon.start()
        found = source.ids(settle=30)
        soon.join()

    assert found == [5, 6]
    assert source.state == {"from": {"type": "bigint", "value": "6"}}


def test_a_server_that_numbers_its_transactions_anew_is_not_waited_for_in_vain() -> None:
    noted = Noted({"type": "bigint", "value": "6"}, 900, frozenset({"3/7"}), frozenset({"850"}))
    now = Running(xmin=20, xmax=21, virtual=frozenset({"3/7"}), prepared=frozenset())

    assert not noted.ended
    assert noted.left(now).ended


RUN = st.frozensets(st.sampled_from(["3/1", "4/1", "5/1"]))


@given(RUN, RUN, st.integers(5, 9), st.integers(5, 9))
def test_what_was_noted_ends_only_when_nothing_of_it_runs(
    then: frozenset[str], now: frozenset[str], xmin: int, xmax: int
) -> None:
    noted = Noted.of({"type": "bigint", "value": "1"}, Running(5, 7, then, frozenset()))
    left = noted.left(Running(min(xmin, max(xmax, 7)), max(xmax, 7), now, frozenset()))

    assert left.ended == (not then & now and min(xmin, max(xmax, 7)) >= 7)
    assert Noted.from_state(json.loads(json.dumps(left.to_state()))) in (
        left,
        Noted(left.seen, 7, left.virtual, left.prepared),
    )


# PostgreSQL: types.


@pytest.mark.parametrize(
    ("declared", "first", "second", "kept"),
    [
        ("bigint", "9007199254740993", "9007199254740994", {"type": "bigint", "value": "9007199254740993"}),
        (
            "timestamptz", "2024-01-01 10:00:00.123456+02", "2024-01-01 10:00:00.123457+02",
            {"type": "timestamp with time zone", "value": "2024-01-01 08:00:00.123456+00"},
        ),
        ("timestamp", "2024-01-01 10:00", "2024-01-02", {"type": "timestamp without time zone",
                                                        "value": "2024-01-01 10:00:00"}),
        ("date", "2024-01-01", "2024-01-02", {"type": "date", "value": "2024-01-01"}),
        ("text", "a'%s", "b", {"type": "text", "value": "a'%s"}),
        ("char(3)", "ab", "abc", {"type": "bpchar", "value": "ab"}),
        ("numeric", "10", "10.00000000000000000001", {"type": "numeric", "value": "10"}),
        ("double precision", "0.1", "0.10000000000000002", {"type": "double precision", "value": "0.1"}),
        ("uuid", "018f0000-0000-7000-8000-000000000000", "018f0000-0000-7000-8000-000000000001",
         {"type": "uuid", "value": "018f0000-0000-7000-8000-000000000000"}),
        ("bytea", "\\x00ff", "\\x01", {"type": "bytea", "value": "\\x00ff"}),
    ],
)  # fmt: skip
def test_a_cursor_of_any_postgresql_type_is_asked_for_by_its_exact_value(
    tmp_path: Path, postgres_url: str, declared: str, first: str, second: str, kept: State
) -> None:
    source = server(postgres_url, tmp_path, f"CREATE TABLE t (n int, c {declared})", cursor="c")
    with connected(postgres_url, autocommit=True) as connection:
        database = postgres_url.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {database} SET datestyle = 'German'".encode())
        connection.execute(f"ALTER DATABASE {database} SET timezone = 'Asia/Tokyo'".encode())
        connection.execute("INSERT INTO t VALUES (1, %s)", (first,))
        assert [row["n"] for row in source.read()] == [1]
        assert source.state == {"from": kept}
        connection.execute("INSERT INTO t VALUES (2, %s)", (second,))

    assert sorted(row["n"] for row in source.read()) == [1, 2]
    assert [row["n"] for row in source.read()] == [2]


def test_a_table_and_a_query_of_it_have_the_same_types_whatever_rows_there_are(
    tmp_path: Path, postgres_url: str
) -> None:
    table = server(
        postgres_url,
        tmp_path,
        "CREATE TYPE colour AS ENUM ('red', 'blue')",
        "CREATE DOMAIN cents AS numeric(10,2)",
        "CREATE TABLE t (id int4, n numeric(10,2), m numeric, w numeric(50,2), t varchar(9), c char(3), u uuid,"
        " j jsonb, a int[], y bytea, day date, at timestamp, tz timestamptz, h time, e colour, p cents, v interval,"
        " b bool)",
    )
    query = server(postgres_url, tmp_path, statement="SELECT *, n * 2 AS twice, 1::int8 AS one FROM t;")
    kinds = {
        "id": "INTEGER", "n": "DECIMAL(10,2)", "m": "VARCHAR", "w": "VARCHAR", "t": "VARCHAR", "c": "VARCHAR",
        "u": "UUID", "j": "JSON", "a": "INTEGER[]", "y": "BLOB", "day": "DATE", "at": "TIMESTAMP",
        "tz": "TIMESTAMP WITH TIME ZONE", "h": "TIME", "e": "VARCHAR", "p": "DECIMAL(10,2)", "v": "VARCHAR",
        "b": "BOOLEAN",
    }  # fmt: skip

    assert (table.read(), query.read()) == ([], [])
    assert table.columns == kinds
    assert query.columns == {**kinds, "twice": "VARCHAR", "one": "BIGINT"}
    server(
        postgres_url,
        tmp_path,
        "INSERT INTO t VALUES (2, 1.10, 12.3450, 1e40, 'x', 'ab', '0c1d2e3f-0000-4000-8000-00000000000a', '{\"n\": 1}',"
        " '{1,NULL}', '\\x00ff', '2024-02-29', '2024-02-29 10:00', '2024-02-29 10:00+02', '10:00', 'red', 3.5, '1 day',"
        " true)",
    )
    (row,) = table.read()
    assert row == {
        "id": 2, "n": Decimal("1.10"), "m": "12.345", "w": "1" + "0" * 40, "t": "x", "c": "ab ",
        "u": "0c1d2e3f-0000-4000-8000-00000000000a", "j": '{"n": 1}', "a": [1, None], "y": b"\x00\xff",
        "day": dt.date(2024, 2, 29), "at": dt.datetime(2024, 2, 29, 10),  # noqa: DTZ001  (the column has no zone)
        "tz": dt.datetime(2024, 2, 29, 8, tzinfo=dt.UTC), "h": dt.time(10), "e": "red", "p": Decimal("3.50"),
        "v": "1 day", "b": True,
    }  # fmt: skip
    assert query.read() == [{**row, "twice": "2.2", "one": 1}]
    assert (table.columns, len(query.columns)) == (kinds, 20)


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [
        ("numeric(9,2)", "'NaN'", r"column 'c' holds Decimal\('NaN'\), which is no DECIMAL\(9,2\)"),
        ("int[]", "'{{1,2},{3,4}}'", r"column 'c' holds \[\[1, 2\], \[3, 4\]\], which is no INTEGER\[\]"),
        ("date", "'infinity'", "holds a value that cannot be read: date too large"),
        ("timestamptz", "'-infinity'", "holds a value that cannot be read: timestamp too small"),
    ],
)
def test_a_postgresql_value_that_python_or_arrow_cannot_hold_is_told(
    tmp_path: Path, postgres_url: str, declared: str, value: str, said: str
) -> None:
    source = server(
        postgres_url, tmp_path, f"CREATE TABLE t (id int, c {declared})", f"INSERT INTO t VALUES (1, {value})"
    )

    with pytest.raises((UnfitValue, UnreadableValue), match=said):
        source.read()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DELETE FROM t", "syntax error"),
        ("WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone", "data-modifying statement"),
        ("SELECT id, pg_notify('a', 'b') FROM t; DROP TABLE t", "syntax error"),
        ("SELECT nextval('s') AS id FROM t", r"cannot execute nextval\(\) in a read-only transaction"),
        ("SELECT id FROM none", 'relation "none" does not exist'),
    ],
)
def test_a_statement_that_writes_is_refused_by_postgresql_and_nothing_is_written(
    tmp_path: Path, postgres_url: str, statement: str, reason: str
) -> None:
    server(postgres_url, tmp_path, ORDERS, "INSERT INTO t VALUES (1)", "CREATE SEQUENCE s")

    with pytest.raises(TablesRefused, match=f"{reason}.*; it is only read: give one SELECT that it can answer"):
        server(postgres_url, tmp_path, statement=statement).read()
    assert server(postgres_url, tmp_path).ids() == [1]


def test_a_null_and_a_missing_cursor_are_told_on_postgresql_too(tmp_path: Path, postgres_url: str) -> None:
    source = server(
        postgres_url,
        tmp_path,
        "CREATE TABLE t (id int, at timestamptz)",
        "INSERT INTO t VALUES (1, now())",
        cursor="at",
    )
    source.read()
    server(postgres_url, tmp_path, "INSERT INTO t VALUES (2, NULL)")

    with pytest.raises(NullCursor, match="cursor column 'at' is NULL"):
        source.read()
    with pytest.raises(NoCursorColumn, match=r"has no column 'ids' \(did you mean 'id'\?\)"):
        server(postgres_url, tmp_path, cursor="ids").read()


def test_a_cursor_whose_values_cannot_be_kept_is_told() -> None:
    assert str(UnfitCursor("table t", "c", "timedelta")) == (
        "table t: the cursor column 'c' holds values of the type timedelta; name a column that grows, of numbers, "
        "texts, dates or times"
    )
