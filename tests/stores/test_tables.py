"""Somebody else's database, only read: what its types become, and what is said when it cannot be read."""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dualgauge.errors import DualgaugeError
from dualgauge.stores.errors import (
    BadTablesUrl,
    NoTable,
    NoTableColumn,
    NoTablesFile,
    StoreHeld,
    TablesRefused,
    UnreadableValue,
)
from dualgauge.stores.external.other import OtherCatalogue
from dualgauge.stores.external.tables import TableSnapshot, open_tables
from dualgauge.stores.urls import shown_url
from dualgauge_router.stores.errors import BadKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def make(folder: Path, *statements: str, name: str = "shop.db") -> Path:
    """Make a SQLite file with some statements."""
    file = folder / name
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return file


def column(folder: Path, declared: str, values: Sequence[object]) -> tuple[str, list[object]]:
    """Store values in a column of a declared type; give its DuckDB type and the values that come back."""
    file = folder / "one.db"
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"CREATE TABLE t (c {declared})")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        connection.commit()
    kinds, found = whole(f"sqlite:///{file}", "t")
    return kinds["c"], [row["c"] for row in found]


def whole(url: str, table: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Read a table: its types and its rows."""
    with open_tables(url) as tables, tables.snapshot() as snapshot:
        kinds = snapshot.columns(table)
        rows = [row for batch in snapshot.batches(table, list(kinds), 2) for row in batch.to_pylist()]
    return kinds, rows


def refusal(url: str, **given: Any) -> str:
    """What is said when the names of a database are asked for."""
    with pytest.raises(DualgaugeError) as told, open_tables(url, **given) as tables:
        tables.names()
    return str(told.value)


UTC = dt.UTC


def at(text: str) -> dt.datetime:
    """A time without a zone."""
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("declared", "values", "kind", "back"),
    [
        ("INTEGER", [1, None, 2**63 - 1], "BIGINT", [1, None, 2**63 - 1]),
        ("VARCHAR(20)", ["007", "", None], "VARCHAR", ["007", "", None]),
        ("REAL", [1.5, 2], "DOUBLE", [1.5, 2.0]),
        ("BLOB", [b"\x00\xff"], "BLOB", [b"\x00\xff"]),
        ("BOOLEAN", [0, 1, None], "BOOLEAN", [False, True, None]),
        ("DATE", ["2024-02-29", None], "DATE", [dt.date(2024, 2, 29), None]),
        (
            "DATETIME",
            ["2024-02-29 10:00:00.5", "2024-02-29T10:00:00"],
            "TIMESTAMP",
            [at("2024-02-29T10:00:00.5"), at("2024-02-29T10:00:00")],
        ),
        (
            "TIMESTAMP",
            ["2024-02-29 10:00:00Z", "2024-02-29 10:00:00+02:00"],
            "TIMESTAMP WITH TIME ZONE",
            [dt.datetime(2024, 2, 29, 10, tzinfo=UTC), dt.datetime(2024, 2, 29, 8, tzinfo=UTC)],
        ),
        ("TIME", ["10:00:00", "23:59:59.999999"], "TIME", [dt.time(10), dt.time(23, 59, 59, 999999)]),
        ("DECIMAL(10,2)", [1, 2.1, "3.05"], "DECIMAL(10,2)", [Decimal("1.00"), Decimal("2.10"), Decimal("3.05")]),
        ("NUMERIC", [1, 2.125], "DECIMAL(18,4)", [Decimal("1.0000"), Decimal("2.1250")]),
        ("NUMERIC(20)", [10**18], "DECIMAL(20,0)", [Decimal(10**18)]),
        ("JSON", ['{"a": 1}'], "JSON", ['{"a": 1}']),
        (
            "UUID",
            ["0c1d2e3f-0000-4000-8000-00000000000a"],
            "UUID",
            ["0c1d2e3f-0000-4000-8000-00000000000a"],
        ),
        ("", [1, 2], "BIGINT", [1, 2]),
    ],
)
def test_a_declared_type_is_kept_where_every_value_fits_it(
    tmp_path: Path, declared: str, values: list[object], kind: str, back: list[object]
) -> None:
    assert column(tmp_path, declared, values) == (kind, back)


@pytest.mark.parametrize(
    ("declared", "values", "kind", "back"),
    [
        ("INTEGER", [1, 2.5], "DOUBLE", [1.0, 2.5]),
        ("INTEGER", [2**62, 2.5], "VARCHAR", ["4611686018427387904 (number)", "2.5 (number)"]),
        ("INTEGER", [1, "2x"], "VARCHAR", ["1 (number)", "2x"]),
        ("BOOLEAN", [1, 2], "BIGINT", [1, 2]),
        ("BOOLEAN", ["yes"], "VARCHAR", ["yes"]),
        ("DATE", ["2024-02-30"], "VARCHAR", ["2024-02-30"]),
        ("DATE", ["0000-01-01"], "VARCHAR", ["0000-01-01"]),
        ("DATE", ["2024-02-29", "29/02/2024"], "VARCHAR", ["2024-02-29", "29/02/2024"]),
        ("DATE", [20240229], "BIGINT", [20240229]),
        ("DATETIME", ["2024-02-29 10:00:00.1234567"], "VARCHAR", ["2024-02-29 10:00:00.1234567"]),
        ("DATETIME", ["2024-02-29 25:00:00"], "VARCHAR", ["2024-02-29 25:00:00"]),
        (
            "DATETIME",
            ["2024-02-29 10:00:00", "2024-02-29 10:00:00Z"],
            "VARCHAR",
            ["2024-02-29 10:00:00", "2024-02-29 10:00:00Z"],
        ),
        ("TIME", ["24:00:00"], "VARCHAR", ["24:00:00"]),
        ("DECIMAL(10,2)", [1.005], "DOUBLE", [1.005]),
        ("DECIMAL(4,2)", [123.45], "DOUBLE", [123.45]),
        ("DECIMAL(10,2)", ["n/a", 1], "VARCHAR", ["n/a", "1 (number)"]),
        ("JSON", ["{no"], "VARCHAR", ["{no"]),
        ("UUID", ["0C1D2E3F-0000-4000-8000-00000000000A"], "VARCHAR", ["0C1D2E3F-0000-4000-8000-00000000000A"]),
        ("TEXT", ["a", b"\x00"], "VARCHAR", ["a", "00 (blob)"]),
        ("", ["1", 1, 1.0, b"1"], "VARCHAR", ["1", "1 (number)", "1 (number)", "31 (blob)"]),
        ("", ["1 (number)", "1 (blob) ", 1], "VARCHAR", ["1 (number) (text)", "1 (blob) ", "1 (number)"]),
        ("", [2**53 + 1, 0.5, 1e-05], "VARCHAR", ["9007199254740993 (number)", "0.5 (number)", "1e-05 (number)"]),
    ],
)
def test_a_value_that_the_declared_type_cannot_hold_widens_the_column_and_is_not_lost(
    tmp_path: Path, declared: str, values: list[object], kind: str, back: list[object]
) -> None:
    assert column(tmp_path, declared, values) == (kind, back)


@pytest.mark.parametrize(
    ("declared", "kind"), [("INT", "BIGINT"), ("DECIMAL(9,2)", "DECIMAL(9,2)"), ("DATE", "DATE"), ("", "VARCHAR")]
)
def test_an_empty_table_has_its_declared_types(tmp_path: Path, declared: str, kind: str) -> None:
    assert column(tmp_path, declared, []) == (kind, [])


STORED = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False).map(lambda number: number + 0.0),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.binary(),
)
DECLARED = ["", "INT", "TEXT", "REAL", "BLOB", "DECIMAL(9,3)", "NUMERIC", "DATE", "DATETIME", "BOOLEAN", "TIME", "JSON"]


@given(st.sampled_from(DECLARED), st.lists(STORED, max_size=6))
def test_whatever_is_stored_comes_back_as_the_same_value_or_as_a_text_that_tells_it_from_others(
    tmp_path_factory: pytest.TempPathFactory, declared: str, values: list[object]
) -> None:
    folder = tmp_path_factory.mktemp("any")

    kind, found = column(folder, declared, values)

    with closing(sqlite3.connect(folder / "one.db")) as connection:
        stored = [row[0] for row in connection.execute("SELECT c FROM t")]
    if kind == "VARCHAR":
        for was, now in zip(stored, found, strict=True):
            for other, text in zip(stored, found, strict=True):
                # Equal texts are equal values: to Python too, 1 is 1.0, and '1' is neither.
                assert (now == text) is (was == other)
        return
    for was, now in zip(stored, found, strict=True):
        if isinstance(was, str):
            assert str(now) == was or kind in ("JSON", "TIMESTAMP", "TIME")
        elif isinstance(now, Decimal):
            assert float(now) == was
        else:
            assert now == was


def test_tables_and_views_are_named_and_the_database_s_own_are_not(tmp_path: Path) -> None:
    file = make(
        tmp_path,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, cents INT)",
        "CREATE VIEW totals AS SELECT sum(cents) AS cents FROM orders",
        "INSERT INTO orders (cents) VALUES (5)",
    )

    with open_tables(f"sqlite:///{file}") as tables:
        assert tables.names() == ["orders", "totals"]
    assert whole(f"sqlite:///{file}", "totals") == ({"cents": "BIGINT"}, [{"cents": 5}])
    assert whole(f"sqlite:///{file}", "main.orders")[1] == [{"id": 1, "cents": 5}]
    assert whole(f"sqlite:///{file}", "ORDERS")[1] == [{"id": 1, "cents": 5}]


ODD = 'my; "tablé" 😀 %s ? :x {0} .b'


def test_odd_names_of_tables_and_columns_work_in_sqlite(tmp_path: Path) -> None:
    quoted = '"' + ODD.replace('"', '""') + '"'
    file = make(tmp_path, f"CREATE TABLE {quoted} ({quoted} TEXT PRIMARY KEY)", f"INSERT INTO {quoted} VALUES ('x')")

    assert whole(f"sqlite:///{file}", ODD) == ({ODD: "VARCHAR"}, [{ODD: "x"}])
    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as snapshot:
        assert snapshot.key(ODD) == (ODD,)
        assert snapshot.point(ODD, {ODD: "x"}) == {ODD: "x"}


def test_odd_names_of_tables_and_columns_work_in_postgresql(postgres_url: str) -> None:
    quoted = '"' + ODD.replace('"', '""') + '"'
    in_postgresql(
        postgres_url, f"CREATE TABLE {quoted} ({quoted} text PRIMARY KEY)", f"INSERT INTO {quoted} VALUES ('x')"
    )

    assert whole(postgres_url, ODD) == ({ODD: "VARCHAR"}, [{ODD: "x"}])
    with open_tables(postgres_url) as tables, tables.snapshot() as snapshot:
        assert snapshot.key(ODD) == (ODD,)
        assert snapshot.point(ODD, {ODD: "x"}) == {ODD: "x"}


def test_a_composite_key_is_given_in_its_own_order(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE t (a INT, b INT, c INT, PRIMARY KEY (c, a))")

    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as snapshot:
        assert snapshot.key("t") == ("c", "a")


def test_a_generated_column_is_read(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE t (a INT, b INT AS (a * 2))", "INSERT INTO t VALUES (4)")

    assert whole(f"sqlite:///{file}", "t") == ({"a": "BIGINT", "b": "BIGINT"}, [{"a": 4, "b": 8}])


def test_a_relative_path_counts_from_the_root(tmp_path: Path) -> None:
    make(tmp_path, "CREATE TABLE t (a INT)")

    with open_tables("sqlite:///shop.db", root=tmp_path) as tables:
        assert tables.names() == ["t"]


def test_batches_are_no_larger_than_asked_and_have_one_schema(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE t (a INT, b TEXT)", "INSERT INTO t VALUES (1, NULL), (NULL, 'x'), (3, 'y')")

    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as snapshot:
        batches = list(snapshot.batches("t", ["b", "a"], 2))

    assert [batch.num_rows for batch in batches] == [2, 1]
    assert {batch.schema for batch in batches} == {pa.schema([("b", pa.string()), ("a", pa.int64())])}


def digests(file: Path) -> dict[str, str]:
    """What the database's files hold; the index of readers beside a write-ahead log is no part of it."""
    beside = [file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-journal")]
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in beside if one.exists()}


def read_all(file: Path) -> None:
    """Everything that this room can do with a file."""
    with open_tables(f"sqlite:///{file}") as tables:
        tables.names()
        with tables.snapshot() as snapshot:
            snapshot.columns("t")
            snapshot.key("t")
            list(snapshot.batches("t", ["a"], 10))
            snapshot.point("t", {"a": "1"})
            for statement in ("INSERT INTO t VALUES (2)", "DROP TABLE t", "CREATE TEMP TABLE x AS SELECT 1"):
                with pytest.raises(TablesRefused):
                    snapshot.scalar(statement)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_reading_changes_no_byte_and_writing_is_refused(tmp_path: Path, journal: str) -> None:
    file = make(tmp_path, "CREATE TABLE t (a INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with closing(sqlite3.connect(file)) as application:
        application.execute(f"PRAGMA journal_mode = {journal}")
        application.execute("INSERT INTO t VALUES (5)")
        application.commit()
        before = digests(file)

        read_all(file)

        assert digests(file) == before
        assert ("shop.db-wal" in before) == (journal == "WAL")
        assert application.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_a_refused_write_says_that_the_database_is_only_read(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE t (a INT)")

    with (
        open_tables(f"sqlite:///{file}") as tables,
        tables.snapshot() as snapshot,
        pytest.raises(TablesRefused) as told,
    ):
        snapshot.scalar("DELETE FROM t")

    assert str(told.value) == (
        f"{file} refuses the query: attempt to write a readonly database; "
        "it is only read: give one SELECT that it can answer"
    )


def test_a_snapshot_does_not_see_what_is_written_after_it_began(tmp_path: Path, postgres_url: str) -> None:
    file = make(tmp_path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a INT)")
    in_postgresql(postgres_url, "CREATE TABLE t (a int)")
    for url in (f"sqlite:///{file}", postgres_url):
        with open_tables(url) as tables, tables.snapshot() as snapshot:
            if url == postgres_url:
                in_postgresql(url, "INSERT INTO t VALUES (1)")
            else:
                make(tmp_path, "INSERT INTO t VALUES (1)")
            assert snapshot.scalar("SELECT count(*) FROM t") == 0
        with open_tables(url) as tables, tables.snapshot() as snapshot:
            assert snapshot.scalar("SELECT count(*) FROM t") == 1


def test_a_point_read_gives_the_row_of_a_key_given_as_text(tmp_path: Path) -> None:
    file = make(
        tmp_path,
        "CREATE TABLE t (n INT, s TEXT, d DATE, p DECIMAL(9,2), b BLOB, f BOOLEAN, x)",
        "INSERT INTO t VALUES (1, '007', '2024-02-29', 2.5, x'0aff', 1, 7)",
    )
    key = {"n": "1", "s": "007", "d": "2024-02-29", "p": "2.50", "b": "0aff", "f": "true", "x": "7"}
    row = {"n": 1, "s": "007", "d": "2024-02-29", "p": 2.5, "b": b"\x0a\xff", "f": 1, "x": 7}

    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as snapshot:
        for name, text in key.items():
            assert snapshot.point("t", {name: text}) == row, name
        assert snapshot.point("t", key) == row
        assert snapshot.point("t", {"n": "2"}) is None
        assert snapshot.point("t", {"s": "7"}) is None
        with pytest.raises(BadKey) as told:
            snapshot.point("t", {"n": "one"})
        assert str(told.value).startswith("view t: 'one' is no value of it")
        with pytest.raises(NoTableColumn, match="has no column 'm'"):
            snapshot.point("t", {"m": "1"})


def test_a_uuid_is_found_however_it_is_written(tmp_path: Path, postgres_url: str) -> None:
    plain = "0c1d2e3f-aaaa-4000-8000-00000000000a"
    forms = [plain, plain.upper(), plain.replace("-", ""), plain.replace("-", "").upper(), f"{{{plain.upper()}}}"]
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (c uuid, n int)")
        connection.exec_driver_sql(f"INSERT INTO t VALUES ('{plain}', 1)")
    engine.dispose()

    for at, stored in enumerate(forms):
        file = make(
            tmp_path, "CREATE TABLE t (c UUID, n INT)", f"INSERT INTO t VALUES ('{stored}', 1)", name=f"{at}.db"
        )
        for url in (f"sqlite:///{file}", postgres_url):
            with open_tables(url) as tables, tables.snapshot() as snapshot:
                for asked in forms:
                    assert (snapshot.point("t", {"c": asked}) or {}).get("n") == 1, (stored, asked)
                assert snapshot.point("t", {"c": plain.replace("a", "b")}) is None


def test_of_two_keys_that_are_one_uuid_the_one_that_is_spelled_so_is_read(tmp_path: Path) -> None:
    plain = "0c1d2e3f-aaaa-4000-8000-00000000000a"
    file = make(
        tmp_path,
        "CREATE TABLE t (c UUID, s TEXT)",
        f"INSERT INTO t VALUES ('{plain.upper()}', '{plain.upper()}'), ('{plain}', '{plain}')",
    )
    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as snapshot:
        for spelled in (plain, plain.upper()):
            assert snapshot.point("t", {"c": spelled}) == {"c": spelled, "s": spelled}
        # A text is no UUID: it is itself.
        assert snapshot.point("t", {"s": plain.replace("-", "")}) is None


# What cannot be read.


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NoTablesFile) as told, open_tables("sqlite:///none.db", root=tmp_path):
        pass

    assert str(told.value) == (
        f"{tmp_path / 'none.db'} cannot be read as a SQLite database: there is no such file; correct its path"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_told_from_a_database(tmp_path: Path) -> None:
    assert "it is a folder" in refusal(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("id,cents\n" * 100, encoding="utf-8")

    assert refusal("sqlite:///x.db", root=tmp_path) == (
        f"{tmp_path / 'x.db'} cannot be read: as a SQLite database: file is not a database; "
        "see that it is the right one, that it runs, and that you may read it"
    )


def test_a_locked_database_names_the_wait(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE t (a INT)")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreHeld) as told, open_tables(f"sqlite:///{file}", wait=0.1) as tables:
            tables.names()

    assert "has been held by another process's transaction for over 0.1 seconds" in str(told.value)


def test_text_that_is_no_utf_8_is_an_error_that_names_the_column(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE t (city TEXT)", "INSERT INTO t VALUES (CAST(x'4dfc' AS TEXT))")

    with pytest.raises(UnreadableValue, match="Could not decode to UTF-8 column 'city'"):
        whole(f"sqlite:///{file}", "t")


def test_an_unknown_table_or_column_names_the_nearest(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE orders (cents INT)", "CREATE TABLE users (a INT)")

    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as snapshot:
        with pytest.raises(NoTable) as told:
            snapshot.columns("order")
        with pytest.raises(NoTableColumn, match=r"table orders has no column 'cent' \(did you mean 'cents'\?\)"):
            list(snapshot.batches("orders", ["cent"], 10))

    assert str(told.value) == (
        f"{file} has no table 'order' (did you mean 'orders'?); it has orders, users; name one of its tables"
    )


def test_a_view_that_is_broken_is_refused_in_sqlite_s_words(tmp_path: Path) -> None:
    file = make(tmp_path, "CREATE TABLE gone (a INT)", "CREATE VIEW v AS SELECT a FROM gone", "DROP TABLE gone")

    with pytest.raises(TablesRefused, match=r"no such table: main\.gone"):
        whole(f"sqlite:///{file}", "v")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("shop", "the database what was given cannot be opened: it cannot be read as a URL"),
        ("sqlite://", "the database sqlite:// cannot be opened: a SQLite database is a file, given by its path"),
        ("sqlite://folder/shop.db", "a SQLite database is a file, given by its path behind three slashes"),
        ("nosuch://u:hunter2@h/db", "no kind of database is called 'nosuch'"),
        ("mysql://u:hunter2@h/db", "its driver, the Python package MySQLdb, is missing: install it"),
        ("postgresql+psycopg2://u:hunter2@h/db", "the Python package psycopg2, is missing"),
        ("postgresql://u:hunter2@x@h/db", "write an @ in a user name or a password as %40"),
        ("postgresql://u:hunter2@h:port/db", "the database postgresql://... cannot be opened"),
        ("sqlite+aiosqlite:///x.db", "SQLite is read by Python's own sqlite3"),
    ],
)
def test_a_url_that_cannot_be_opened_is_one_sentence_without_its_password(url: str, said: str) -> None:
    with pytest.raises(BadTablesUrl) as told, open_tables(url):
        pass

    assert said in str(told.value)
    assert "hunter2" not in str(told.value)


def test_a_shown_url_has_no_password_wherever_it_stands() -> None:
    assert shown_url("postgresql://ada:hunter2@host/db") == "postgresql://ada:***@host/db"
    assert "hunter2" not in shown_url("postgresql://ada@host/db?password=hunter2&sslpassword=hunter2")
    assert "hunter2" not in shown_url("postgresql://ada:hunter2@x@host/db")


# PostgreSQL.


def in_postgresql(url: str, *statements: str) -> None:
    """Run statements in a PostgreSQL database, each committed."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_postgresql_types_become_duckdb_types_that_hold_their_values(postgres_url: str) -> None:
    in_postgresql(
        postgres_url,
        "CREATE TYPE colour AS ENUM ('red', 'blue')",
        "CREATE DOMAIN cents AS numeric(10,2)",
        "CREATE TABLE t (b bool, s int2, i int4, l int8, r real, d double precision, n numeric(10,2), m numeric,"
        " t text, c char(3), u uuid, j jsonb, a int[], x text[], y bytea, day date, at timestamp, tz timestamptz,"
        " h time, e colour, p cents, v interval, ip inet)",
        "INSERT INTO t VALUES (true, 1, 2, 9007199254740993, 1.5, 2.5, 1.10, 12.3450, 'x', 'ab',"
        " '0c1d2e3f-0000-4000-8000-00000000000a', '{\"n\": 12345678901234567890}', '{1,NULL}', '{a}', '\\x00ff',"
        " '2024-02-29', '2024-02-29 10:00', '2024-02-29 10:00+02', '10:00', 'red', 3.5, '1 day', '10.0.0.1')",
        "INSERT INTO t (i) VALUES (NULL)",
    )

    kinds, rows = whole(postgres_url, "t")

    assert kinds == {
        "b": "BOOLEAN", "s": "SMALLINT", "i": "INTEGER", "l": "BIGINT", "r": "FLOAT", "d": "DOUBLE",
        "n": "DECIMAL(10,2)", "m": "DECIMAL(18,3)", "t": "VARCHAR", "c": "VARCHAR", "u": "UUID", "j": "JSON",
        "a": "INTEGER[]", "x": "VARCHAR[]", "y": "BLOB", "day": "DATE", "at": "TIMESTAMP",
        "tz": "TIMESTAMP WITH TIME ZONE", "h": "TIME", "e": "VARCHAR", "p": "DECIMAL(10,2)", "v": "VARCHAR",
        "ip": "VARCHAR",
    }  # fmt: skip
    assert rows[0] == {
        "b": True, "s": 1, "i": 2, "l": 9007199254740993, "r": 1.5, "d": 2.5, "n": Decimal("1.10"),
        "m": Decimal("12.345"), "t": "x", "c": "ab ", "u": "0c1d2e3f-0000-4000-8000-00000000000a",
        "j": '{"n": 12345678901234567890}', "a": [1, None], "x": ["a"], "y": b"\x00\xff",
        "day": dt.date(2024, 2, 29), "at": at("2024-02-29T10:00:00"),
        "tz": dt.datetime(2024, 2, 29, 8, tzinfo=UTC), "h": dt.time(10), "e": "red", "p": Decimal("3.50"),
        "v": "1 day", "ip": "10.0.0.1",
    }  # fmt: skip
    assert set(rows[1].values()) == {None}


def test_postgresql_values_beyond_a_duckdb_type_leave_as_text(postgres_url: str) -> None:
    in_postgresql(
        postgres_url,
        "CREATE TABLE t (n numeric(10,2), m numeric, w numeric(50,2), day date, at timestamp, tz timestamptz, a int[],"
        " h time)",
        "INSERT INTO t VALUES ('NaN', 'Infinity', 1e40, 'infinity', '-infinity', '4713-01-01 BC', '{{1,2},{3,4}}',"
        " '24:00')",
        "INSERT INTO t VALUES (1.5, 2.50, 3, '2024-02-29', '2024-02-29', '2024-02-29', '{1}', '10:00')",
    )

    kinds, rows = whole(postgres_url, "t")

    assert set(kinds.values()) == {"VARCHAR"}
    assert [row["n"] for row in rows] == ["NaN", "1.5"]
    assert [row["m"] for row in rows] == ["Infinity", "2.5"]
    assert rows[0]["w"] == "1" + "0" * 40
    assert [row["day"] for row in rows] == ["infinity", "2024-02-29"]
    assert rows[0]["tz"].endswith("BC")
    assert rows[0]["a"] == "{{1,2},{3,4}}"
    assert rows[0]["h"] == "24:00:00"


def test_postgresql_names_have_their_schema_where_it_is_not_on_the_path(postgres_url: str) -> None:
    in_postgresql(
        postgres_url,
        "CREATE SCHEMA audit",
        "CREATE TABLE audit.log (id int PRIMARY KEY)",
        "CREATE TABLE orders (id int, at int, PRIMARY KEY (at, id)) PARTITION BY RANGE (id)",
        "CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (10)",
        "CREATE VIEW recent AS SELECT * FROM orders",
        "CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one",
        "INSERT INTO orders VALUES (1, 2)",
    )

    with open_tables(postgres_url) as tables, tables.snapshot() as snapshot:
        assert tables.names() == ["audit.log", "kept", "orders", "recent"]
        assert snapshot.key("public.orders") == snapshot.key("orders") == ("at", "id")
        assert snapshot.key("audit.log") == ("id",)
        assert snapshot.key("recent") == ()
        assert snapshot.point("orders", {"at": "2", "id": "1"}) == {"id": 1, "at": 2}
        assert snapshot.columns("orders_1") == {"id": "INTEGER", "at": "INTEGER"}


def test_postgresql_refuses_to_write_and_a_bad_key_leaves_the_snapshot_usable(postgres_url: str) -> None:
    in_postgresql(postgres_url, "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")

    with open_tables(postgres_url) as tables:
        refused = pytest.raises(TablesRefused, match="cannot execute DELETE in a read-only transaction")
        with refused, tables.snapshot() as snapshot:
            snapshot.scalar("DELETE FROM t")
        with tables.snapshot() as snapshot:
            with pytest.raises(BadKey, match="invalid input syntax for type integer"):
                snapshot.point("t", {"id": "one"})
            assert snapshot.point("t", {"id": "1"}) == {"id": 1}
            assert snapshot.scalar("SELECT count(*) FROM t WHERE 'a%' LIKE '%'") == 1


def test_a_point_read_takes_a_character_key_whole(postgres_url: str) -> None:
    in_postgresql(postgres_url, "CREATE TABLE t (c char(3) PRIMARY KEY)", "INSERT INTO t VALUES ('ab')")

    with open_tables(postgres_url) as tables, tables.snapshot() as snapshot:
        assert snapshot.point("t", {"c": "ab"}) == {"c": "ab "}
        assert snapshot.point("t", {"c": "a"}) is None


def test_a_point_read_gives_what_python_has_no_value_for_as_text(postgres_url: str) -> None:
    in_postgresql(
        postgres_url,
        "CREATE TABLE t (id int, d date, at timestamptz, h time, v interval, j jsonb, ip inet, n int)",
        "INSERT INTO t VALUES (1, 'infinity', '0044-03-15 10:00+00 BC', '24:00', '1 mon', '12345678901234567890',"
        " '10.0.0.1', 7), (2, '2024-02-29', '2024-02-29 10:00+00', '10:00', '30 days', 'null', NULL, NULL)",
    )
    with open_tables(postgres_url) as tables, tables.snapshot() as snapshot:
        assert snapshot.point("t", {"id": "1"}) == {
            "id": 1, "d": "infinity", "at": "0044-03-15 10:00:00+00 BC", "h": "24:00:00", "v": "1 mon",
            "j": "12345678901234567890", "ip": "10.0.0.1", "n": 7,
        }  # fmt: skip
        assert snapshot.point("t", {"id": "2"}) == {
            "id": 2, "d": dt.date(2024, 2, 29), "at": dt.datetime(2024, 2, 29, 10, tzinfo=UTC), "h": dt.time(10),
            "v": "30 days", "j": "null", "ip": None, "n": None,
        }  # fmt: skip
        assert snapshot.point("t", {"d": "infinity"}) is not None
        with pytest.raises(BadKey, match="no value of it"):
            snapshot.point("t", {"id": "one"})


def test_a_type_of_somebody_s_own_is_not_taken_for_the_built_in_one_of_its_name(postgres_url: str) -> None:
    in_postgresql(
        postgres_url,
        "CREATE TYPE public.int4 AS ENUM ('1', '01')",
        "CREATE TABLE t (c public.int4, a public.int4[], n pg_catalog.int4)",
        "INSERT INTO t VALUES ('01', '{01}', 1)",
    )
    assert whole(postgres_url, "t") == (
        {"c": "VARCHAR", "a": "VARCHAR", "n": "INTEGER"},
        [{"c": "01", "a": "{01}", "n": 1}],
    )


def test_a_server_that_does_not_let_in_is_named_without_its_password(postgres_url: str) -> None:
    nobody = sa.make_url(postgres_url).set(username="nobody", password="hunter2").render_as_string(False)
    nowhere = sa.make_url(postgres_url).set(port=1, password="hunter2").render_as_string(False)

    for url, said in ((nobody, 'role "nobody" does not exist'), (nowhere, "refused")):
        told = refusal(url, wait=2)
        assert said in told
        assert ":***@127.0.0.1" in told
        assert "hunter2" not in told


def test_another_kind_of_database_is_read_by_sqlalchemy_s_reflection(tmp_path: Path) -> None:
    file = make(
        tmp_path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, p DECIMAL(9,2), d DATE, s TEXT, x NUMERIC)",
        "INSERT INTO t VALUES (1, 2.5, '2024-02-29', 'x', 7)",
        "CREATE VIEW v AS SELECT id FROM t",
    )

    with open_tables(f"sqlite:///{file}") as tables, tables.snapshot() as plain:
        snapshot = TableSnapshot(tables, plain._connection, OtherCatalogue())

        assert snapshot.names == ["t", "v"]
        assert snapshot.columns("t") == {
            "id": "BIGINT", "p": "DECIMAL(9,2)", "d": "DATE", "s": "VARCHAR", "x": "VARCHAR"
        }  # fmt: skip
        assert snapshot.numbers("t") == {"x"}
        assert snapshot.key("t") == ("id",)
        (batch,) = snapshot.batches("main.t", ["id", "p", "d", "s", "x"], 10)
        assert batch.to_pylist() == [{"id": 1, "p": Decimal("2.50"), "d": dt.date(2024, 2, 29), "s": "x", "x": "7"}]
        assert snapshot.point("t", {"s": "x"}) == {
            "id": 1,
            "p": Decimal("2.50"),
            "d": dt.date(2024, 2, 29),
            "s": "x",
            "x": 7,
        }
